"""How much of the model's own rate a whole file reaches, decoded and encoded beside it: `python -m benchmarks.whole`.

In one process, one after the other: the model on pairs of frames in memory, then the file with the same frames, twice
as many out. Seconds for each in-between frame, the first ones left out, wall clock and CPU. With `--wait SECONDS` the
model does nothing but wait, as the CPU does for an accelerator of that speed.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: idle threads must not spin

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.methods import interpolator_of, run_pairs
from benchmarks.scene import FORMATS, panning, write_panning

SIZES = {"448x256": (448, 256, 40), "1920x1080": (1920, 1080, 14), "3840x2160": (3840, 2160, 8)}  # frames in
WARM_UP = 3  # in-between frames
LEAST = 0.85  # of the model's rate


class Laps:
    """Wall and CPU seconds for each lap from the `WARM_UP`-th on."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float]] = []

    def mark(self) -> None:
        self._marks.append((time.perf_counter(), time.process_time()))

    def each(self) -> tuple[float, float]:
        first, last, count = self._marks[WARM_UP], self._marks[-1], len(self._marks) - 1 - WARM_UP
        return (last[0] - first[0]) / count, (last[1] - first[1]) / count


def alone(interpolate: Callable[..., Any], width: int, height: int, count: int) -> tuple[float, float]:
    laps = Laps()
    laps.mark()
    for _ in run_pairs(interpolate, list(panning(width, height, count))):
        laps.mark()
    return laps.each()


def whole(interpolate: Callable[..., Any], width: int, height: int, count: int, codec: str) -> tuple[float, float]:
    from vidcm.interpolation.plan import Factor
    from vidcm.interpolation.stream import interpolate_file
    from vidcm.media.shots import CutDetector

    laps = Laps()

    def note(done: int, expected: int) -> None:
        if done % 2:
            laps.mark()

    with tempfile.TemporaryDirectory() as folder:
        suffix = FORMATS[codec][-1]
        clip, target = Path(folder) / f"clip{suffix}", Path(folder) / f"out{suffix}"
        write_panning(clip, width, height, count, codec)
        how = {"rule": Factor(Fraction(2)), "interpolator": interpolate, "detector": CutDetector()}
        interpolate_file(clip, target, codec=codec, progress=note, **how)
    return laps.each()


def waiting(seconds: float) -> Callable[..., Any]:
    def interpolate(first: torch.Tensor, last: torch.Tensor, taus: Sequence[float], **_: Any) -> torch.Tensor:
        time.sleep(seconds)
        return first[:, None].expand(-1, len(taus), -1, -1)

    return interpolate


def compare(size: str, interpolate: Callable[..., Any], codec: str) -> None:
    model_s, model_cpu_s = alone(interpolate, *SIZES[size])
    file_s, file_cpu_s = whole(interpolate, *SIZES[size], codec)
    met = "met" if model_s / file_s >= LEAST else "MISSED"
    print(
        f"{size:<12} model alone {model_s:.3f} s ({model_cpu_s:.3f} CPU), whole file {file_s:.3f} s ({file_cpu_s:.3f} "
        f"CPU): {model_s / file_s:.0%} of at least {LEAST:.0%}: {met}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="model directory; default: the shipped one")
    parser.add_argument("--method", default="vidcm", help="or the name of a baseline")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="no model, but that long for each in-between")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--codec", default="h264", choices=FORMATS, help="of both files; prores: ten bits")
    parser.add_argument("--sizes", default="448x256,1920x1080", help="some of " + ", ".join(SIZES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    interpolate = waiting(options.wait) if options.wait else interpolator_of(options.method, options.model)
    for size in options.sizes.split(","):
        compare(size, interpolate, options.codec)


if __name__ == "__main__":
    main()
