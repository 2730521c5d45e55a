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
from fractions import Fraction
from pathlib import Path

import av

from vidcm.core.memory import MIB, parse_memory
from vidcm.core.size import pixels_of

SIZES = "1920x1080,3840x2160"
SOURCES = {  # encoder, options, pixel format of 8 bits and of 10, container
    "h264": ("libx264", {"crf": "20", "preset": "ultrafast"}, "yuv420p", "yuv420p10le", ".mp4"),
    "hevc": ("libx265", {"crf": "22", "preset": "ultrafast"}, "yuv420p", "yuv420p10le", ".mp4"),
    "prores": ("prores_ks", {"profile": "3"}, "yuv422p10le", "yuv422p10le", ".mov"),
    "ffv1": ("ffv1", {}, "yuv420p", "yuv420p10le", ".mkv"),
}
COMMAND = (sys.executable, "-m", "vidcm", "interpolate")


def scaled(source: Path, folder: Path, size: tuple[int, int], count: int, codec: str, depth: int) -> Path:
    """The first `count` frames of a clip, at another size. size: height and width."""
    encoder, options, usual, deep, suffix = SOURCES[codec]
    target, pix_fmt = folder / f"clip{suffix}", usual if depth == 8 else deep
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        rate = given.streams.video[0].average_rate or Fraction(24)
        stream = output.add_stream(encoder, rate=rate, options=options)
        (stream.height, stream.width), stream.pix_fmt = size, pix_fmt
        for index, frame in zip(range(count), given.decode(video=0), strict=False):
            picture = frame.reformat(*size[::-1], format=pix_fmt)
            picture.pts, picture.time_base, picture.pict_type = index, 1 / rate, 0
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return target


def asked(clip: Path, codec: str, *more: str) -> list[str]:
    target = clip.with_name(f"out{SOURCES[codec][-1] if codec in SOURCES else '.mp4'}")
    return [*COMMAND, str(clip), "-o", str(target), "--factor", "2", "--codec", codec, "--device", "cpu", *more]


def least_for(clip: Path, codec: str) -> str:
    """What the command says that it needs."""
    refused = subprocess.run(asked(clip, codec, "--memory", "1MiB"), capture_output=True, text=True)
    found = re.search(r"at least (\d+MiB)", refused.stderr)
    if found is None:
        sys.exit(refused.stderr)
    return found[1]


def peak(clip: Path, codec: str, memory: str | None) -> tuple[float, float]:
    """(MiB, CPU seconds) of one file."""
    more = [] if memory is None else ["--memory", memory]
    child = subprocess.Popen(asked(clip, codec, *more), stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{clip.name} with --memory {memory} failed")
    return usage.ru_maxrss / 2**10, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--sizes", default=SIZES, help=f"default: {SIZES}")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--source", default="h264", choices=SOURCES, help="codec of the file that is read")
    parser.add_argument("--codec", default="h264", help="of the file that is written")
    parser.add_argument("--depth", type=int, default=8, choices=(8, 10), help="bits of the file that is read")
    parser.add_argument("--budgets", help="such as 1200MiB,2GiB,usual,least; default: usual and the least that will do")
    options = parser.parse_args()
    for size in options.sizes.split(","):
        shape = pixels_of(size) or (0, 0)
        with tempfile.TemporaryDirectory() as folder:
            clip = scaled(options.clip, Path(folder), shape, options.frames, options.source, options.depth)
            least = least_for(clip, options.codec)
            budgets = options.budgets.split(",") if options.budgets else ["usual", "least"]
            for told in budgets:
                memory = {"usual": None, "least": least}.get(told, told)
                mib, cpu_s = peak(clip, options.codec, memory)
                limit = None if memory is None else parse_memory(memory).size / MIB
                verdict = "" if limit is None else f", {'held' if mib <= limit else 'EXCEEDED'}: {limit / mib - 1:+.0%}"
                told = "as usual" if memory is None else f"--memory {memory}"
                what = f"{size} {options.source} {options.depth} bits to {options.codec}"
                print(f"{what:<38} {told:<18} {mib:6.0f} MiB{verdict}, {cpu_s:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
