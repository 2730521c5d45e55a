"""How long `vidcm interpolate` and `vidcm generate` take to begin: `python -m benchmarks.startup`.

One frame between two, those of a clip or two pictures, as a process of its own, again and again. What a longer clip
takes beyond that is in `python -m benchmarks`. CPU seconds are the fairer figure where others use the machine.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import cv2

from benchmarks.scene import panning, write_panning

SIZE = (448, 256)


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_mib: float


def asked(folder: Path) -> dict[str, list[str]]:
    """Of each command what is asked of it."""
    clip, out = folder / "clip.mp4", str(folder / "out.mp4")
    write_panning(clip, *SIZE, 2)
    ends = [str(folder / name) for name in ("first.png", "last.png")]
    for end, picture in zip(ends, panning(*SIZE, 2), strict=True):
        cv2.imwrite(end, picture[..., ::-1])
    between = ["--model", "motion", "--image", ends[0], "--last-image", ends[1], "--num-frames", "3"]
    return {"interpolate": [str(clip), "-o", out, "--factor", "2"], "generate": ["-o", out, *between]}


def begin(command: str, words: list[str], threads: int) -> Run:
    words = [sys.executable, "-m", "vidcm", command, *words]
    there = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, env={**os.environ, **there}, **quiet)
    _, code, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    if code:
        raise SystemExit(f"{' '.join(words)} failed")
    return Run(wall_s, used.ru_utime + used.ru_stime, peak_mib(used))


def peak_mib(used: resource.struct_rusage) -> float:
    """ru_maxrss is in KiB, on macOS in bytes."""
    return used.ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for command, words in asked(Path(folder)).items():
            begin(command, words, options.threads)  # reads the files of all libraries once
            runs = [begin(command, words, options.threads) for _ in range(options.runs)]
            wall_s, cpu_s, mib = (median(values) for values in zip(*map(astuple, runs), strict=True))
            told = f"{command} between two frames of {SIZE[0]}x{SIZE[1]}: {wall_s:.2f} s, {cpu_s:.2f} CPU s, "
            print(f"{told}peak {mib:.0f} MiB (median of {options.runs}; load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    main()
