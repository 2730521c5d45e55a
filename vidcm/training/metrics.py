"""What a run tells: one JSON line per interval in a file, one line of progress on standard error."""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from vidcm.core.aside import write_aside
from vidcm.core.processes import launched

try:
    import resource
except ImportError:  # Windows keeps no such count
    resource = None  # type: ignore[assignment]


class Meter:
    """Means of named values since the last reading. Only finite values are added by the loop."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}  # total and count; checkpoints keep them

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + float(value), count + 1)

    def read(self) -> dict[str, float]:
        """The means, and start afresh."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means


class MetricsFile:
    """A JSON-lines file; opened for a resumed run, it forgets the lines past the step resumed from."""

    def __init__(self, path: Path, done: int):
        lines = path.read_text(encoding="utf-8").splitlines() if done and path.exists() else []
        kept = [line for line in lines if _step(line) is not None and _step(line) <= done]  # type: ignore[operator]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, "".join(line + "\n" for line in kept))
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps({key: _short(value) for key, value in record.items()}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


_shown = 0  # characters of the live line on the terminal


def say(text: str, *, everywhere: bool = False) -> None:
    """A notice on standard error, in the place of the live line if there is one. Of several processes the first one's
    is enough, unless it is about this one: everywhere."""
    if everywhere or launched().is_first:
        clear()
        print(text, file=sys.stderr, flush=True)


def live(text: str) -> None:
    """A line that the next one replaces on a terminal; a plain line elsewhere."""
    global _shown
    if not sys.stderr.isatty():
        say(text)
        return
    print("\r" + text.ljust(_shown), end="", file=sys.stderr, flush=True)
    _shown = len(text)


def clear() -> None:
    """Take the live line off the terminal."""
    global _shown
    if _shown:
        print("\r" + " " * _shown, end="\r", file=sys.stderr, flush=True)
        _shown = 0


def progress_line(record: dict[str, Any], steps: int, left_s: float) -> str:
    loss, norm = record.get("loss", float("nan")), record.get("grad_norm", float("nan"))
    return (
        f"step {record['step']}/{steps}  loss {loss:.4f}  norm {norm:.2f}  "
        f"lr {record['lr']:.1e}  {record['samples_s']:.1f} clips/s  {clock(left_s)} left"
        + (f"  {memory_gib():.1f} GiB" if resource else "")
        + (f"  {record['peak_share']:.0%} of peak" if "peak_share" in record else "")
    )


def memory_gib() -> float:
    """The most memory that this process has held: the accelerator's where there is one in use, else the machine's."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def clock(seconds: float) -> str:
    """h:mm:ss"""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def _step(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None  # a line cut short by a kill


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
