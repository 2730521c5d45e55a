"""What a run tells: one JSON line per interval in a file, one line of progress on standard error."""

import json
import sys
from pathlib import Path
from typing import Any


class Meter:
    """Means of named values since the last reading. Only finite values are added by the loop."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + float(value), count + 1)

    def read(self) -> dict[str, float]:
        """The means, and start afresh."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means


class MetricsFile:
    """A JSON-lines file; opened for a resumed run, it forgets the lines past the step resumed from."""

    def __init__(self, path: Path, done: int):
        lines = path.read_text(encoding="utf-8").splitlines() if done and path.exists() else []
        kept = [line for line in lines if _step(line) is not None and _step(line) <= done]  # type: ignore[operator]
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".tmp")
        aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        aside.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps({key: _short(value) for key, value in record.items()}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def say(text: str) -> None:
    """A notice on standard error."""
    print(text, file=sys.stderr, flush=True)


def progress_line(record: dict[str, Any], steps: int, left_s: float) -> str:
    loss, norm = record.get("loss", float("nan")), record.get("grad_norm", float("nan"))
    return (
        f"step {record['step']}/{steps}  loss {loss:.4f}  norm {norm:.2f}  "
        f"lr {record['lr']:.1e}  {record['samples_s']:.1f} samples/s  {clock(left_s)} left"
    )


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
