"""A folder of videos into another one: what is finished is kept, what fails is told and the next one made.

A journal in the output folder has a record for each video, under the hash of the input's bytes and of the settings:
another input or other settings, and it is made again. A file there that no record knows is never written over.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.core.processes import ALONE, Processes
from vidcm.data.arrays import file_digest, text_digest, write_aside
from vidcm.interpolation.tree import Video

JOURNAL = ".vidcm"
SUMMARY = "summary.json"


@dataclass
class Record:
    """What became of a video. status: "begun", "done", "failed", or "kept" from an earlier run.

    fingerprint: of input and settings, empty while no run has begun it; file: the target, below its folder; bytes,
    mtime_ns: of it; report: see `stream.Report`.
    """

    name: str
    status: str
    fingerprint: str = ""
    file: str = ""
    bytes: int = 0
    mtime_ns: int = 0
    error: str | None = None
    report: dict[str, Any] = field(default_factory=dict)


def interpolate_videos(
    videos: Sequence[Video],
    folder: Path,
    make: Callable[[Path, Path], Mapping[str, Any]],
    settings: Mapping[str, Any],
    *,
    load: Callable[[], object] = lambda: None,
    processes: Processes = ALONE,
    tell: Callable[[Record, Video], None] = lambda record, video: None,
) -> list[Record]:
    """This process's share of the videos. Returns the records of all, of every process.

    make: (source, target) -> report, whole or not at all. settings: what tells this run's outputs from another's.
    load: called before the first one is made; what it raises ends the run. tell: called with each record.
    """
    folder.mkdir(exist_ok=True)
    is_loaded = False
    for video in processes.share(videos):
        record = judge(video, folder, settings)
        if record.status == "begun":
            if not is_loaded:
                load()
                is_loaded = True
            save(record, folder)
            attempt(record, video, make)
        if record.status != "kept":
            save(record, folder)
        tell(record, video)
    processes.wait()
    records = [read(video, folder) for video in videos]
    if processes.is_first:
        write_aside(folder / SUMMARY, as_json(summary(records)))
    return records


def judge(video: Video, folder: Path, settings: Mapping[str, Any]) -> Record:
    """What is to be done: "kept" is finished, "failed" cannot be begun, "begun" is next."""
    before, file = read(video, folder), video.target.relative_to(folder).as_posix()
    try:
        fingerprint = text_digest(json.dumps([file_digest(video.source), settings], sort_keys=True))
    except OSError as error:
        told = f"{video.source} cannot be read: {error.strerror}"
        return Record(video.name, "failed", before.fingerprint, file, error=told)
    is_same = before.status == "done" and before.fingerprint == fingerprint
    if is_same and stamp(video.target) == (before.bytes, before.mtime_ns):
        before.status = "kept"
        return before
    if video.target.exists() and not before.fingerprint:
        told = f"{video.target} is there already, and not from such a run: move it, or choose another output folder"
        return Record(video.name, "failed", file=file, error=told)
    return Record(video.name, "begun", fingerprint, file)


def attempt(record: Record, video: Video, make: Callable[[Path, Path], Mapping[str, Any]]) -> None:
    """Changes the record into what became of the video. Interrupts end the run."""
    record.status = "failed"
    try:
        video.target.parent.mkdir(parents=True, exist_ok=True)
        record.report = dict(make(video.source, video.target))
    except UserError as refused:
        record.error = str(refused)
    except Exception as unexpected:
        is_memory = isinstance(unexpected, MemoryError) or "OutOfMemory" in type(unexpected).__name__
        hint = "; try another --device, or a smaller video" if is_memory else ""
        record.error = f"unexpected {type(unexpected).__name__}: {' '.join(str(unexpected).split())}{hint}"
    else:
        record.status = "done"
        record.bytes, record.mtime_ns = stamp(video.target)


def stamp(path: Path) -> tuple[int, int]:
    """Size and age of a file; of none, what no file has."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def save(record: Record, folder: Path) -> None:
    place = _place(record.file, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_aside(place, as_json(asdict(record)))


def read(video: Video, folder: Path) -> Record:
    """What is saved of a video; "failed" where nothing is, or nothing that can be read."""
    try:
        return Record(
            **json.loads(_place(video.target.relative_to(folder).as_posix(), folder).read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, TypeError):
        return Record(video.name, "failed", error="was not made")


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """For scripts: what is there, and what is not."""
    done = sum(record.status == "done" for record in records)
    return {
        "videos": len(records),
        "done": done,
        "failed": len(records) - done,
        "each": [asdict(record) for record in records],
    }


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _place(file: str, folder: Path) -> Path:
    return folder / JOURNAL / f"{file}.json"
