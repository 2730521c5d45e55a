"""Speed and memory of frame interpolation beside its peers: `python -m benchmarks.interpolate`.

Seconds for each in-between frame from 448x256 to 4K with `--threads` threads, wall clock and CPU: the model in two
steps, OpenCV's DIS flow with warping, FFmpeg's minterpolate. Then the resident memory of a whole interpolation from
file to file, at its peak and at output frames 100 and 1000, in processes of their own.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: idle threads must not spin

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import psutil
import torch

from benchmarks.methods import interpolator_of, run_minterpolate, run_pairs
from benchmarks.scene import panning, write_panning

SIZES = {  # width, height, in-between frames timed
    "448x256": (448, 256, 12),
    "854x480": (854, 480, 8),
    "1920x1080": (1920, 1080, 5),
    "3840x2160": (3840, 2160, 3),
}
METHODS = ("vidcm", "dis", "minterpolate")
LIMITS_S = {"448x256": 0.6, "1920x1080": 2.0}  # what vidcm must reach on two cores
LIMIT_MIB = 1536
WARM_UP = 2  # in-between frames that are not counted


def time_each(steps: Iterator[None]) -> tuple[float, float]:
    """(wall, CPU) seconds of the median step after the warm-up."""
    wall, cpu = [], []
    before = time.perf_counter(), time.process_time()
    for _ in steps:
        after = time.perf_counter(), time.process_time()
        wall.append(after[0] - before[0])
        cpu.append(after[1] - before[1])
        before = time.perf_counter(), time.process_time()
    return statistics.median(wall[WARM_UP:]), statistics.median(cpu[WARM_UP:])


def speed(methods: list[str], model: str | None, sizes: list[str]) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        width, height, count = SIZES[size]
        frames = list(panning(width, height, count + WARM_UP + 1))
        for method in methods:
            if method == "minterpolate":
                steps = run_minterpolate([*frames, *frames[-3:]])  # it looks ahead
            else:
                steps = run_pairs(interpolator_of(method, model), frames)
            wall_s, cpu_s = time_each(steps)
            rows.append({"method": method, "size": size, "wall_s": round(wall_s, 4), "cpu_s": round(cpu_s, 4)})
            print(f"{method:<14}{size:<12}{wall_s:>9.3f} s wall {cpu_s:>9.3f} s CPU   per in-between frame", flush=True)
    return rows


def memory(size: str, source_frames: int, model: str | None) -> dict[str, Any]:
    width, height, _ = SIZES[size]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_panning(clip, width, height, source_frames)
        command = [sys.executable, "-m", "benchmarks.memory", str(clip), *(["--model", model] if model else [])]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row = {"size": size, **json.loads(run.stdout)}
    print("memory        " + ", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    return row


def verdicts(rows: list[dict[str, Any]], memories: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row["method"] == "vidcm" and row["size"] in LIMITS_S:
            limit = LIMITS_S[row["size"]]
            met = _met(row["wall_s"] <= limit)
            yield f"{row['size']}: {row['wall_s']:.3f} s ({row['cpu_s']:.3f} s CPU) of at most {limit} s: {met}"
    for row in memories:
        if row["size"] == "1920x1080":
            yield f"1920x1080: {row['peak_mib']:.0f} MiB of less than {LIMIT_MIB}: {_met(row['peak_mib'] < LIMIT_MIB)}"
        if "at_1000_mib" in row:
            growth = row["at_1000_mib"] / row["at_100_mib"] - 1
            yield f"{row['size']}: memory grows by {growth:.1%} from frame 100 to 1000: {_met(growth < 0.05)}"


def describe(threads: int) -> dict[str, Any]:
    """The machine, and how busy it is."""
    load, cores = psutil.getloadavg()[0], os.cpu_count() or 1
    if load + threads > cores + 1:
        print(f"note: {load:.1f} processes run on {cores} cores; only the CPU seconds mean anything", flush=True)
    return {"cpu": platform.processor() or platform.machine(), "cores": cores, "threads": threads, "load": load}


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="model directory; default: the shipped one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of " + ", ".join(SIZES))
    parser.add_argument("--methods", default=",".join(METHODS), help="some of " + ", ".join(METHODS))
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument("--full", action="store_true", help="1000 frames of 1080p as well (a quarter of an hour)")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # for the processes that measure memory
    machine = describe(options.threads)
    rows = speed(options.methods.split(","), options.model, options.sizes.split(","))
    memories = []
    if not options.no_memory:
        memories = [
            memory("448x256", 500, options.model),
            memory("1920x1080", 500 if options.full else 51, options.model),
        ]
    judged = list(verdicts(rows, memories))
    print("\n".join(judged))
    if options.json:
        result = {"machine": machine, "speed": rows, "memory": memories, "verdicts": judged}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
