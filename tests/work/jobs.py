"""Jobs that take a moment and leave a trace, for batches on several processes."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.work.batch import Batch, Record


@dataclass
class NoteRecord(Record):
    name: str


class Notes(Batch[str, NoteRecord]):
    """A text file a job; TRACE gets a line whenever one is begun and ended.

    Jobs named "bad..." are refused, "slow..." take three seconds, "deadly..." end their process, "full" finds no room.
    """

    def __init__(self, folder: Path, trace: Path) -> None:
        super().__init__(folder)
        self.trace = trace

    def target(self, job: str) -> Path:
        return self.folder / f"{job}.txt"

    def place(self, job: str) -> Path:
        return self.folder / f"{job}.json"

    def record(self, job: str, /, **known: Any) -> NoteRecord:
        return NoteRecord(**{**known, "name": job})

    def fingerprint(self, job: str) -> str:
        return job

    def load(self) -> None:
        self.note("load")

    def make(self, job: str, record: NoteRecord) -> None:
        self.note(f"begin {job}")
        if job.startswith("bad"):
            raise UserError(f"{job} is refused")
        if job.startswith("deadly"):
            os._exit(9)
        if job == "full":
            raise OSError(28, "No space left on device")
        time.sleep(3 if job.startswith("slow") else 0.05)
        self.target(job).write_text(job)
        self.note(f"end {job}")

    def summary(self, records: list[NoteRecord]) -> dict[str, Any]:
        return {"statuses": [record.status for record in records]}

    def note(self, what: str) -> None:
        with self.trace.open("a") as file:  # one write of a line: processes do not mix
            file.write(f"{what} {os.getpid()}\n")

    def seen(self, what: str) -> list[str]:
        """Names, or processes for "load", of the lines that begin so."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [line.split()[1] for line in lines if line.startswith(what)]

    def maker_of(self, job: str) -> int:
        """The process that began a job last; 0 where none has."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        found = [int(line.split()[2]) for line in lines if line.startswith(f"begin {job} ")]
        return found[-1] if found else 0
