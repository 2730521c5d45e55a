"""Resident memory while one file is interpolated; run as a process of its own: `python -m benchmarks.memory --help`."""

import argparse
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import psutil

from vidcm.core.alone import declare_alone

MARKS = (100, 1000)  # output frames at which memory is noted,
OVER = 20  # the mean over so many frames up to there
MIB = 2**20


class Peak:
    """The largest resident size of this process since the start, sampled every 10 ms, in MiB."""

    def __init__(self) -> None:
        self._process, self._largest = psutil.Process(), 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._largest = max(self._largest, self._process.memory_info().rss)
            time.sleep(0.01)

    def now(self) -> float:
        """The resident size at this moment, MiB."""
        return float(self._process.memory_info().rss / MIB)

    def mib(self) -> float:
        return round(self._largest / MIB, 1)


def measure(source: Path, folder: Path, model: str | None, method: str) -> dict[str, float]:
    from benchmarks.methods import interpolator_of
    from vidcm.interpolation.plan import Factor
    from vidcm.interpolation.stream import interpolate_file
    from vidcm.media.shots import CutDetector

    peak, sizes, seen = Peak(), deque[float](maxlen=OVER), {}

    def note(done: int, expected: int) -> None:
        sizes.append(peak.now())
        if done in MARKS:  # what is held, not the peak: that of loading the model would hide a leak
            seen[f"at_{done}_mib"] = round(sum(sizes) / len(sizes), 1)

    interpolator: Callable = interpolator_of(method, model)
    report = interpolate_file(
        source,
        folder / "out.mp4",
        rule=Factor(Fraction(2)),
        interpolator=interpolator,
        detector=CutDetector(),
        progress=note,
    )
    return {**seen, "peak_mib": peak.mib(), "frames": report.frames_out, "wall_s": report.wall_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--method", default="vidcm")
    options = parser.parse_args()
    declare_alone()  # as the process of the command line is
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options.source, Path(folder), options.model, options.method)))


if __name__ == "__main__":
    main()
