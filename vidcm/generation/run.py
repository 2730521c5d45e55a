"""A job to a file, and a manifest to a folder: each clip with a record of how it was made, what is finished kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from vidcm.data.arrays import text_digest
from vidcm.generation.jobs import Job, Line, digest
from vidcm.generation.makers import Maker
from vidcm.generation.memory import peak_mib, reset_peak
from vidcm.generation.writing import write_clip
from vidcm.work.batch import Batch, Record, needed

SUFFIX = ".mp4"
Load = Callable[[], tuple[Maker, torch.device]]


@dataclass
class ClipRecord(Record):
    """What became of a job, saved beside its clip. job: what it says, as in the manifest, with whole image paths;
    settings, notes: see `Made`."""

    key: str
    line: int
    job: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_mib: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_clip(job: Job, target: Path, maker: Maker, device: torch.device) -> ClipRecord:
    """One clip to a file. Raises UserError, and leaves nothing behind, if it cannot be made."""
    record = ClipRecord(status="done", file=target.name, key=target.stem, line=0)
    fill(record, job, target, maker, device)
    return record


def fill(record: ClipRecord, job: Job, target: Path, maker: Maker, device: torch.device) -> None:
    """Make the clip, and tell the record what it took."""
    reset_peak(device)
    started = time.monotonic()
    try:
        made = maker(job)
        write_clip(target, made.frames_THWC, made.rate)
    except torch.OutOfMemoryError:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise
    finally:
        record.seconds, record.peak_mib = round(time.monotonic() - started, 3), round(peak_mib(device), 1)
    record.settings, record.notes = made.settings, made.notes


class Manifest(Batch[Line, ClipRecord]):
    """The jobs of a manifest.

    load: gives the model and where it runs, when the first job comes to need it; check: raises UserError for a job that
    cannot be made, as far as that is known without it. model: what tells it from another.
    """

    smaller = "try fewer frames, a smaller size or --low-memory"

    def __init__(self, folder: Path, load: Load, model: str, check: Callable[[Job], None] = lambda job: None) -> None:
        super().__init__(folder)
        self._load, self._check, self._model = load, check, text_digest(model)
        self._is_checked = False  # whether the makers that are there do that themselves

    def load(self) -> None:
        self._needed = needed(self._load)

    def target(self, line: Line) -> Path:
        return self.folder / f"{line.key}{SUFFIX}"

    def place(self, line: Line) -> Path:
        return self.folder / f"{line.key}.json"

    def record(self, line: Line, /, **known: Any) -> ClipRecord:
        return ClipRecord(**{**known, "key": line.key, "line": line.number, "job": line.job.said()})

    def fingerprint(self, line: Line) -> str:
        return digest(line.job, self._model)

    def make(self, line: Line, record: ClipRecord) -> None:
        if not self._is_checked:
            self._check(line.job)
        maker, device = self._needed()
        self._is_checked = True
        fill(record, line.job, self.target(line), maker, device)

    def summary(self, records: Sequence[ClipRecord]) -> dict[str, Any]:
        done = [record for record in records if record.status == "done"]
        counts = {"jobs": len(records), "done": len(done), "failed": len(records) - len(done)}
        peaks = {"seconds_in_all": round(sum(record.seconds for record in done), 3)}
        peaks["peak_mib"] = max((record.peak_mib for record in records), default=0.0)
        return {**counts, **peaks, "clips": [asdict(record) for record in records]}
