"""What is whole of an output that is not finished: segments in a folder beside it, each with a record, written last.

    .out.mp4.parts/journal.json      what made it: the input's hash and the settings
    .out.mp4.parts/000003.pictures   a segment's encoded pictures
    .out.mp4.parts/000003.json       its size and hash, and what is noted of its frames
    .out.mp4.parts/names.begun       of numbered pictures: all are whole, and began to take their names

A segment counts when its record is there and its pictures are those of the record. So a run may end anywhere, at a
power failure too, and the next one knows what it has. The folder goes when the output is whole.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.core.processes import ALONE, Processes
from vidcm.interpolation.ledger import Notes
from vidcm.media.place import BEGUN, discard

ANEW, GO_ON, IF_IT_FITS = "anew", "go on", "if it fits"  # what to do with an interrupted run's segments
HEAD, FORMAT = "journal.json", "vidcm interpolation 2"
FAMILY = "vidcm interpolation "  # of formats
Settings = Callable[[], Mapping[str, str]]
Tell = Callable[[], None]


class Journal:
    """See the module. done: the segments that are whole; kept: those that were when this run began.

    begins: called where nothing is there to go on with, though that was asked for.
    Where several processes share a file each makes some of the segments, and the first one has the journal."""

    def __init__(
        self, target: Path, settings: Settings | None, processes: Processes = ALONE, begins: Tell = lambda: None
    ) -> None:
        self.folder, self._target, self._settings = folder_of(target), target, settings
        self.processes, self._begins = processes, begins
        self.done: set[int] = set()
        self.kept: frozenset[int] = frozenset()

    def begin(self, how: str) -> None:
        """how: ANEW, GO_ON (raises UserError where there is nothing to go on with) or IF_IT_FITS."""
        before = None if how == ANEW else read_head(self.folder)
        if how == GO_ON and before is None and _is_of_another_version(self.folder):
            raise UserError(
                f"{self._target}: what there is of it was made by another version of vidcm: go on with that one, or "
                "leave --resume out to start anew"
            )
        if how == GO_ON and before is None and self._target.exists():
            self.remove()
            raise UserError(
                f"{self._target} is there, and nothing of it is unfinished: leave --resume out to make it again"
            )
        if before is not None and self._fits(before, is_asked=how == GO_ON):
            for file in self.folder.iterdir():
                if not file.stem.isdecimal() and file.name not in (HEAD, BEGUN):
                    discard(file)
            self.look()
            return
        if how == GO_ON:
            self._begins()
        self.remove()
        self.folder.mkdir()
        if self.processes.count > 1:  # before any of the others has something whole
            self._write_head()

    def look(self) -> None:
        """Find out what is there."""
        self.done = {index for index in self._recorded() if self._is_whole(index)}
        self.kept = frozenset(self.done)

    def is_mine(self, index: int) -> bool:
        """Whether this process is to make a segment."""
        return index not in self.done and index % self.processes.count == self.processes.rank

    def part(self, index: int) -> Path:
        """A segment's encoded pictures."""
        return self.folder / f"{index:06}.pictures"

    @property
    def unfinished(self) -> Path:
        """Where a segment grows."""
        return self.folder / f"segment-{self.processes.rank}.growing"

    def commit(self, index: int, digest: str, notes: Notes) -> None:
        """The segment that grew is whole."""
        if self.processes.count == 1 and not (self.folder / HEAD).exists():
            self._write_head()
        os.replace(self.unfinished, self.part(index))
        size = self.part(index).stat().st_size
        record = {"bytes": size, "digest": digest, "notes": notes.as_dict()}
        write_aside(self._record(index), json.dumps(record), flush=True)
        self.done.add(index)

    def _write_head(self) -> None:
        if self._settings is not None:
            head = {"format": FORMAT, "settings": dict(self._settings())}
            write_aside(self.folder / HEAD, json.dumps(head, indent=2), flush=True)

    def notes(self, index: int) -> Notes:
        return Notes.from_dict(json.loads(self._record(index).read_bytes())["notes"])

    @property
    def is_kept(self) -> bool:
        """Whether another run could go on with what is there."""
        return self._settings is not None and bool(self.done)

    def remove(self) -> None:
        """All of it. Without its head nothing of the rest counts."""
        (self.folder / HEAD).unlink(missing_ok=True)
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _fits(self, before: Mapping[str, str], *, is_asked: bool) -> bool:
        """Whether the interrupted run would have made the same. Raises UserError where it has to."""
        differing = differences(before, self._settings() if self._settings is not None else {})
        if differing and is_asked:
            raise UserError(
                f"{self._target}: --resume cannot go on, the interrupted run was another one: {differing}; give the "
                "same as then, or leave --resume out to start anew"
            )
        return not differing

    def _recorded(self) -> Iterator[int]:
        return (int(file.stem) for file in self.folder.glob("*.json") if file.stem.isdecimal())

    def _is_whole(self, index: int) -> bool:
        """What is damaged is made again."""
        from vidcm.data.arrays import file_digest  # brings OpenCV, which wrong use need not wait for

        try:
            record = json.loads(self._record(index).read_bytes())
            return bool(file_digest(self.part(index)) == record["digest"] and Notes.from_dict(record["notes"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _record(self, index: int) -> Path:
        return self.folder / f"{index:06}.json"


def _is_of_another_version(folder: Path) -> bool:
    try:
        told = json.loads((folder / HEAD).read_bytes())["format"]
        return isinstance(told, str) and told.startswith(FAMILY) and told != FORMAT
    except (OSError, ValueError, TypeError, KeyError):
        return False


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Between the settings of two runs, for a user; empty if there is none."""
    names = (name for name in {**before, **now} if before.get(name) != now.get(name))
    return "; ".join(f"{name} was {before.get(name, 'unknown')}, now {now.get(name)}" for name in names)


def folder_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.parts")


def read_head(folder: Path) -> dict[str, str] | None:
    """The settings of an interrupted run, None where there is none that can be gone on with."""
    try:
        head: dict[str, Any] = json.loads((folder / HEAD).read_bytes())
        return dict(head["settings"]) if head["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def journal_of(
    target: Path,
    settings: Settings | None,
    how: str,
    processes: Processes = ALONE,
    begins: Tell = lambda: None,
) -> Iterator[Journal]:
    """settings: what makes the output what it is, by the names a user knows; without it nothing outlives a failure.
    begins: see `Journal`."""
    journal = Journal(target, settings, processes, begins)
    if processes.is_first:
        try:
            journal.begin(how)
        except OSError as error:
            raise UserError(
                f"{target}: cannot write in {target.parent}: {error.strerror}; write to another folder"
            ) from error
    processes.wait()
    if not processes.is_first:
        journal.look()
        yield journal
        processes.wait()
        return
    try:
        yield journal
    except BaseException as error:
        if journal.is_kept and how != IF_IT_FITS:  # which whoever asks for that says of all that there is
            error.add_note(f"{target}: what is whole of it is kept; the same command with --resume goes on from there")
        elif not journal.is_kept:
            journal.remove()
        raise
    processes.wait()  # until the others have let go of it
    journal.remove()
