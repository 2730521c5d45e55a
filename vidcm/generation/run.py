"""A job to a file, and a manifest to a folder: each clip with a record of how it was made, what is finished kept."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from vidcm.core.errors import UserError
from vidcm.core.processes import ALONE, Processes
from vidcm.data.arrays import write_aside
from vidcm.generation.jobs import Job, Line, digest
from vidcm.generation.makers import Maker
from vidcm.generation.memory import peak_mib, reset_peak
from vidcm.generation.writing import write_clip

SUMMARY = "summary.json"
SUFFIX = ".mp4"


@dataclass
class Record:
    """What became of a job, saved beside its clip. status: "done", "failed", or "kept" from an earlier run."""

    key: str
    line: int
    status: str
    file: str | None = None
    error: str | None = None
    seconds: float = 0.0
    peak_mib: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""


def make_clip(job: Job, target: Path, maker: Maker, device: torch.device) -> Record:
    """One clip to a file. Raises UserError, and leaves nothing behind, if it cannot be made."""
    reset_peak(device)
    started = time.monotonic()
    made = maker(job)
    write_clip(target, made.frames_THWC, made.rate)
    seconds, peak = round(time.monotonic() - started, 3), round(peak_mib(device), 1)
    return Record(target.stem, 0, "done", target.name, None, seconds, peak, made.settings, made.notes)


def make_batch(
    lines: Sequence[Line],
    folder: Path,
    load: Callable[[], Maker],
    model: str,
    device: torch.device,
    *,
    processes: Processes = ALONE,
    tell: Callable[[Record, int, int], None] = lambda record, done, count: None,
) -> list[Record]:
    """Every job that is not finished yet, this process's share of them. Returns the records of all, of every process.

    load: the model, asked for when the first job needs it. model: what tells it from another. tell: called with each
    record, and how many of this process's jobs are behind it. A job that fails is recorded, and the next one made;
    SystemExit, interrupts and a full disk end the run.
    """
    folder.mkdir(exist_ok=True)
    maker: Maker | None = None
    mine = processes.share(lines)
    for number, line in enumerate(mine, start=1):
        fingerprint = digest(line.job, model)
        record = finished(folder, line, fingerprint)
        if record is None:
            maker = maker or load()
            record = attempt(line, folder, maker, device)
            record.fingerprint = fingerprint
            write_aside(folder / f"{line.key}.json", as_json(asdict(record)))
        tell(record, number, len(mine))
    processes.wait()
    records = [read_record(folder, line) for line in lines]
    if processes.is_first:
        write_aside(folder / SUMMARY, as_json(summary(records)))
    return records


def attempt(line: Line, folder: Path, maker: Maker, device: torch.device) -> Record:
    started = time.monotonic()
    try:
        record = make_clip(line.job, folder / f"{line.key}{SUFFIX}", maker, device)
    except OSError:
        raise  # a full disk, a folder that is gone: the next job would meet it too
    except torch.OutOfMemoryError:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        error = "out of memory: try fewer frames, a smaller size or --low-memory"
    except UserError as refused:
        error = str(refused)
    except Exception as unexpected:
        error = f"unexpected {type(unexpected).__name__}: {' '.join(str(unexpected).split())}"
    else:
        record.key, record.line = line.key, line.number
        return record
    return Record(line.key, line.number, "failed", None, error, round(time.monotonic() - started, 3))


def finished(folder: Path, line: Line, fingerprint: str) -> Record | None:
    """The record of a clip that is there and is what the job and the model say."""
    record = read_record(folder, line)
    if record.status == "failed" or record.fingerprint != fingerprint or not (folder / str(record.file)).is_file():
        return None
    record.status = "kept"
    return record


def read_record(folder: Path, line: Line) -> Record:
    """What is saved of a job; "failed" where nothing is, or nothing that can be read."""
    try:
        saved = json.loads((folder / f"{line.key}.json").read_text(encoding="utf-8"))
        return Record(**{**saved, "line": line.number})
    except (OSError, ValueError, TypeError):
        return Record(line.key, line.number, "failed", error="was not made")


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """For scripts: what is there, what is not, and what each clip took."""
    failed = [record for record in records if record.status == "failed"]
    counts = {"jobs": len(records), "done": len(records) - len(failed), "failed": len(failed)}
    times = [record.seconds for record in records if record.status != "failed"]
    peaks = {"seconds_in_all": round(sum(times), 3), "peak_mib": max((r.peak_mib for r in records), default=0.0)}
    return {**counts, **peaks, "clips": [asdict(record) for record in records]}


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
