"""Whether made frames are as bright as they should be where light changes: `python -m benchmarks.light FOOTAGE/clips`.

Clips are given a fade, an exposure that pumps, and a flash of one frame; every second frame is dropped and rebuilt.
Grey levels by which the mean luma of made frames is beside that of the frame that was dropped, on average and at most,
and PSNR to it. Beside a flash it is not lit: that lasts a millisecond.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.methods import interpolator_of
from benchmarks.overlays import clean_pictures, clips, psnr, rebuilt
from vidcm.interpolation.brightness import level_of
from vidcm.media.shots import CutDetector

FADE, PUMP, FLASH = 40, 24, 20  # frames: of a fade; of a turn of the exposure; from flash to flash


def fade(index: int) -> float:
    return abs(1 - index % (2 * FADE) / FADE)


def pumping(index: int) -> float:
    return 0.85 + 0.15 * math.cos(2 * math.pi * index / PUMP)


def flash(index: int) -> float:
    """From darker footage up to its own light: nothing is burnt out that was not before."""
    return 1.0 if index % FLASH == 4 else 0.6


def burnt_out(index: int) -> float:
    """Into the clip: most of it is white."""
    return 6.0 if index % FLASH == 4 else 1.0


KINDS: dict[str, Callable[[int], float]] = {
    "as it is": lambda index: 1.0,
    "fade": fade,
    "pumping": pumping,
    "flash": flash,
    "burnt out": burnt_out,
}


def measure(path: Path, kind: str, method: str, model: str | None, pairs: int) -> tuple[float, float, float]:
    """Mean and largest difference of the level, and mean PSNR."""
    gain = KINDS[kind]
    pictures = [
        (gain(index) * picture.astype(np.float32)).round().clip(0, 255).astype(np.uint8)
        for index, picture in enumerate(clean_pictures(path))
    ]
    changing = [index for index in range(1, len(pictures) - 1, 2) if gain(index - 1) != gain(index + 1)]
    places = changing or list(range(1, len(pictures) - 1, 2))
    wanted = [places[each] for each in sorted(set(np.linspace(0, len(places) - 1, pairs).round().astype(int)))]
    made, _ = rebuilt(pictures, interpolator_of(method, model), wanted, None, CutDetector())
    beside = [abs(level_of(each) - level_of(pictures[place])) for place, each in made.items()]
    close = [psnr(each, pictures[place], np.ones(each.shape[:2], bool)) for place, each in made.items()]
    return float(np.mean(beside)), float(np.max(beside)), float(np.mean(close))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="+", help="files, or folders with a manifest.csv")
    parser.add_argument("--methods", default="vidcm,dis,crossfade", help="vidcm, or baselines")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--model", help="directory; the shipped model by default")
    parser.add_argument("--pairs", type=int, default=6, help="rebuilt frames of each clip")
    options = parser.parse_args()
    for kind in options.kinds.split(","):
        for method in options.methods.split(","):
            rows = [measure(path, kind, method, options.model, options.pairs) for path in clips(options.clips)]
            beside, close = np.mean(rows, axis=0)[[0, 2]]
            most = max(row[1] for row in rows)
            print(f"{kind:<10}{method:<10} level {beside:.2f} beside, {most:.2f} at most; {close:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
