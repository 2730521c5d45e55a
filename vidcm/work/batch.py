"""A list of jobs into a folder: what is finished is kept, what fails is told and the next one made.

Each job has a record, saved before it is begun and when it has ended, under a fingerprint of all that decides what is
made: another fingerprint, and it is made again. A file there that no record knows, or that was changed since it was
made, is never written over.
"""

import errno
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.core.processes import ALONE, Processes

SUMMARY = "summary.json"
UNREADABLE = "unreadable"  # the fingerprint of a record that is there and cannot be read: the file is ours
CHANGED = "was changed since it was made, and is kept: delete it to have it made again"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(kw_only=True)
class Record:
    """What became of a job. status: "begun", "done", "failed", or "kept" from an earlier run.

    fingerprint: empty while no run has begun it; file: what was made, below the folder; bytes, mtime_ns: of it;
    tries: how often a worker of a cluster has begun it; remark: what else there is to tell of a kept one.
    """

    status: str
    fingerprint: str = ""
    file: str | None = None
    bytes: int = 0
    mtime_ns: int = 0
    tries: int = 0
    error: str | None = None
    remark: str | None = None


T = TypeVar("T")
J = TypeVar("J")
R = TypeVar("R", bound=Record)


class Batch(ABC, Generic[J, R]):
    """One kind of jobs, made into one folder. Workers of a cluster get it pickled.

    smaller: what helps a job that runs out of memory.
    """

    smaller = "try a smaller one"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def target(self, job: J) -> Path:
        """The file to make."""

    @abstractmethod
    def place(self, job: J) -> Path:
        """The file of its record."""

    @abstractmethod
    def record(self, job: J, /, **known: Any) -> R:
        """One of this job. known: values of its fields."""

    @abstractmethod
    def fingerprint(self, job: J) -> str:
        """Of all that decides what is made. Raises OSError where the job cannot be read."""

    @abstractmethod
    def load(self) -> None:
        """What all jobs need, once, before the first is made. What it raises ends the run. What takes long, as a model,
        had better wait until a job comes to need it: see `needed`."""

    @abstractmethod
    def make(self, job: J, record: R) -> None:
        """The target, whole or not at all; the record is told how. Raises UserError if it cannot be made."""

    def tidy(self, jobs: Sequence[J]) -> None:
        """At the end of a run of these jobs: what no later run has any use for goes."""

    @abstractmethod
    def summary(self, records: Sequence[R]) -> dict[str, Any]:
        """For scripts: what is there, and what is not."""


class Unloadable(Exception):
    """What all jobs need cannot be had: its cause ends the run."""


def needed(load: Callable[[], T]) -> Callable[[], T]:
    """What `load` gives, once a job asks for it, and for all jobs from then on."""

    @cache
    def loaded() -> T:
        try:
            return load()
        except Exception as error:
            raise Unloadable from error

    return loaded


Tell = Callable[[R, J, int, int], None]  # record, job, how many are behind us, of how many


def make_all(
    batch: Batch[J, R],
    jobs: Sequence[J],
    *,
    processes: Processes = ALONE,
    tell: Tell[R, J] = lambda record, job, done, count: None,
) -> list[R]:
    """This process's share of the jobs. Returns the records of all, of every process.

    A job that fails is recorded and the next one made; interrupts and a full disk end the run.
    """
    batch.folder.mkdir(exist_ok=True)
    mine, is_loaded = processes.share(jobs), False
    with told_how_to_go_on(batch.folder):
        for number, job in enumerate(mine, start=1):
            record = judge(batch, job)
            if record.status == "begun":
                if not is_loaded:
                    batch.load()
                    is_loaded = True
                attempt(batch, job, record)
            if record.status != "kept":
                save(batch, job, record)
            tell(record, job, number, len(mine))
    processes.wait()
    return sum_up(batch, jobs, is_first=processes.is_first)


@contextmanager
def told_how_to_go_on(folder: Path) -> Iterator[None]:
    """To whoever ends a run, or has no room for the rest of it."""
    try:
        yield
    except (KeyboardInterrupt, OSError, UserError) as ending:
        if not isinstance(ending, UserError) or has_no_room(ending.__cause__):
            ending.add_note(f"{folder}: what is finished is kept; the same command goes on from there")
        raise


def sum_up(batch: Batch[J, R], jobs: Sequence[J], *, is_first: bool = True) -> list[R]:
    """The records of all jobs, as they are saved; the first process writes the summary."""
    records = [read(batch, job) for job in jobs]
    for record in records:
        if record.status == "begun":
            record.error = "was interrupted"
    if is_first:
        batch.tidy(jobs)
        write_aside(batch.folder / SUMMARY, as_json(batch.summary(records)))
    return records


def judge(batch: Batch[J, R], job: J) -> R:
    """What is to be done: "kept" is finished, "failed" cannot be begun, "begun" is next."""
    before, target = read(batch, job), batch.target(job)
    file, there = target.relative_to(batch.folder).as_posix(), {"bytes": before.bytes, "mtime_ns": before.mtime_ns}
    try:
        fingerprint = batch.fingerprint(job)
    except OSError as error:
        told = f"{error.filename} cannot be read: {error.strerror}"
        return batch.record(job, status="failed", fingerprint=before.fingerprint, file=file, error=told, **there)
    changed = is_changed(before, target)
    if before.fingerprint == fingerprint and before.status == "done" and (changed or is_made(before, target)):
        before.status, before.remark = "kept", CHANGED if changed else None
        return before
    if changed:
        told = f"{target} {CHANGED}"
        return batch.record(job, status="failed", fingerprint=before.fingerprint, file=file, error=told, **there)
    if target.exists() and not before.fingerprint:
        told = f"{target} is there already, and not from such a run: move it, or choose another output folder"
        return batch.record(job, status="failed", file=file, error=told)
    return batch.record(job, status="begun", fingerprint=fingerprint, file=file, **there)


def attempt(batch: Batch[J, R], job: J, record: R) -> None:
    """Changes the record into what became of the job. Interrupts and a full disk end the run."""
    place = batch.place(job)
    before = place.read_bytes() if place.exists() else None
    save(batch, job, record)
    target, record.status = batch.target(job), "failed"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        batch.make(job, record)
    except Unloadable as missing:
        if before is None:
            place.unlink()
        else:
            write_aside(place, before)  # what an earlier run made of it stands
        raise missing.__cause__ or missing from None
    except UserError as refused:
        if has_no_room(refused.__cause__):
            raise
        record.error = str(refused)
    except Exception as unexpected:
        if has_no_room(unexpected):
            raise
        is_memory = isinstance(unexpected, MemoryError) or "OutOfMemory" in type(unexpected).__name__
        hint = f"; out of memory: {batch.smaller}" if is_memory else ""
        record.error = f"unexpected {type(unexpected).__name__}: {' '.join(str(unexpected).split())}{hint}"
    else:
        record.status = "done"
        record.bytes, record.mtime_ns = stamp(target)


def has_no_room(error: BaseException | None) -> bool:
    """The next job would meet it too."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def is_made(record: Record, target: Path) -> bool:
    """Whether the file is the one that the record tells of."""
    return record.status == "done" and stamp(target) == (record.bytes, record.mtime_ns)


def is_changed(record: Record, target: Path) -> bool:
    """Whether somebody else wrote into the file since. Of one that an interrupted run replaced nobody knows."""
    known = record.bytes, record.mtime_ns
    return record.status in ("done", "failed") and any(known) and target.exists() and stamp(target) != known


def stamp(path: Path) -> tuple[int, int]:
    """Size and age of a file; of none, what no file has."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


@contextmanager
def recorded(place: Path | None, target: Path) -> Iterator[None]:
    """What changes a file that a record knows: the record knows it afterwards too. place: of the record, if any."""
    before = stamp(target)
    yield
    if place is None:
        return
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
        is_known = (known["bytes"], known["mtime_ns"]) == before
    except (OSError, ValueError, TypeError, KeyError):
        return
    if is_known:
        bytes_, mtime_ns = stamp(target)
        write_aside(place, as_json({**known, "bytes": bytes_, "mtime_ns": mtime_ns}))


def save(batch: Batch[J, R], job: J, record: R) -> None:
    place = batch.place(job)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_aside(place, as_json(asdict(record)))


def read(batch: Batch[J, R], job: J) -> R:
    """What is saved of a job; "failed" where nothing is, or nothing that can be read."""
    try:
        return batch.record(job, **json.loads(batch.place(job).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return batch.record(job, status="failed", error="was not made")
    except (OSError, ValueError, TypeError):
        return batch.record(job, status="failed", fingerprint=UNREADABLE, error="was not made")


def as_json(value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # the name of a file that is no UTF-8
        return (json.dumps(value, indent=2) + "\n").encode()
