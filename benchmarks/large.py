"""Peak resident memory of whole files by size, with and without `--memory`: `python -m benchmarks.large CLIP`.

The clip is scaled up, and its first frames go through the command, defaults and all, in a process of its own for each
row. Without budgets the second row of a size has the least that it says would do.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

from vidcm.core.memory import MIB, parse_memory
from vidcm.core.size import pixels_of

SIZES = "1920x1080,3840x2160"
COMMAND = (sys.executable, "-c", "from vidcm.cli.main import cli; cli()", "interpolate")


def scaled(source: Path, target: Path, width: int, height: int, count: int) -> None:
    """The first `count` frames of a clip, at another size."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        rate = given.streams.video[0].average_rate or Fraction(24)
        stream = output.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in zip(range(count), given.decode(video=0), strict=False):
            picture = frame.reformat(width, height, format="yuv420p")
            picture.pts, picture.time_base, picture.pict_type = index, 1 / rate, 0
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))


def least_for(clip: Path, codec: str) -> str:
    """What the command says that it needs."""
    target = clip.with_name("out.mp4")
    asked = ["-o", target, "--factor", "2", "--codec", codec, "--device", "cpu", "--memory", "1MiB"]
    refused = subprocess.run(list(map(str, [*COMMAND, clip, *asked])), capture_output=True, text=True)
    found = re.search(r"at least (\d+MiB)", refused.stderr)
    if found is None:
        sys.exit(refused.stderr)
    return found[1]


def peak(clip: Path, codec: str, memory: str | None) -> tuple[float, float]:
    """(MiB, seconds) of one file."""
    target = clip.with_name("out.mp4")
    asked = ["-o", target, "--factor", "2", "--codec", codec, "--device", "cpu"]
    asked += [] if memory is None else ["--memory", memory]
    started = time.monotonic()
    child = subprocess.Popen(list(map(str, [*COMMAND, clip, *asked])), stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{clip.name} with --memory {memory} failed")
    return usage.ru_maxrss / 2**10, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--sizes", default=SIZES, help=f"default: {SIZES}")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--budgets", help="such as 1200MiB,2GiB; default: the least that will do")
    options = parser.parse_args()
    for size in options.sizes.split(","):
        height, width = pixels_of(size) or (0, 0)
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            scaled(options.clip, clip, width, height, options.frames)
            budgets = options.budgets.split(",") if options.budgets else [least_for(clip, options.codec)]
            for memory in (None, *budgets):
                mib, wall_s = peak(clip, options.codec, memory)
                limit = None if memory is None else parse_memory(memory).size / MIB
                verdict = "" if limit is None else f", {'held' if mib <= limit else 'EXCEEDED'}"
                told = "as usual" if memory is None else f"--memory {memory}"
                print(f"{size:<10} {told:<18} {mib:6.0f} MiB{verdict}, {wall_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
