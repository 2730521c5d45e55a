"""How long `vidcm interpolate` takes to begin: `python -m benchmarks.startup`.

A clip of two frames, one to be made between, as a process of its own, again and again. What a longer clip takes beyond
that is in `python -m benchmarks`. CPU seconds are the fairer figure where others use the machine.
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

from benchmarks.scene import write_panning

SIZE = (448, 256)


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_mib: float


def begin(clip: Path, out: Path, threads: int) -> Run:
    command = [sys.executable, "-m", "vidcm", "interpolate", str(clip), "-o", str(out), "--factor", "2"]
    there = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, **there}, **quiet)
    _, code, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    if code:
        raise SystemExit(f"{' '.join(command)} failed")
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
        clip, out = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        write_panning(clip, *SIZE, 2)
        begin(clip, out, options.threads)  # reads the files of all libraries once
        runs = [begin(clip, out, options.threads) for _ in range(options.runs)]
    wall_s, cpu_s, mib = (median(values) for values in zip(*map(astuple, runs), strict=True))
    print(f"two frames of {SIZE[0]}x{SIZE[1]}: {wall_s:.2f} s, {cpu_s:.2f} CPU s, peak {mib:.0f} MiB ", end="")
    print(f"(median of {options.runs}; load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
