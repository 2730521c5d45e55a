"""A short film of clips rebuilt from a few of their frames, method beside method, as an animated picture.

    python scripts/side_by_side.py CLIP... -o docs/figures/side_by_side.webp [--factor 4] [--seconds 1.5] [--slow 3]

Of each clip every `factor`-th frame is kept and those between are made by a cross-fade, DIS and vidcm; the truth is
last. A mark in the corner of each tile is lit while a kept frame is shown. Use clips whose rights are open.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vidcm.evaluation.baselines import BASELINES, Interpolator, to_bytes
from vidcm.evaluation.score import rebuild
from vidcm.evaluation.windows import read_windows
from vidcm.pipelines import FrameInterpolationPipeline
from vidcm.pipelines.interpolator import as_interpolator

SIZE = 448, 256  # at which frames are rebuilt
SHOWN = 240, 137
CAPTION = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each clip, from its middle")
    parser.add_argument("--slow", type=float, default=3, help="how many times slower than life it is shown")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()

    vidcm = as_interpolator(FrameInterpolationPipeline.from_pretrained(options.model))
    methods = {"cross-fade": BASELINES["crossfade"], "OpenCV DIS": BASELINES["dis"], "vidcm, 2 steps": vidcm}
    rows = [list(film(clip, methods, options.factor, options.seconds)) for clip in options.clips]
    count = min(map(len, rows))
    frames = [np.vstack([row[i] for row in rows]) for i in range(count)]
    shown_ms = options.slow * 1000 * options.seconds / count
    first, *others = map(Image.fromarray, frames)
    first.save(options.out, save_all=True, append_images=others, duration=round(shown_ms), loop=0, quality=60, method=6)
    print(f"{options.out}: {count} pictures, {options.out.stat().st_size / 2**20:.2f} MiB")


def film(clip: Path, methods: dict[str, Interpolator], factor: int, seconds: float) -> Iterator[np.ndarray]:
    """Rows of tiles, uint8 [h, w, 3], one for each frame of the middle of the clip."""
    windows = [window for window in read_windows(clip, *SIZE, factor) if not window.cut]
    length = float(windows[0].instants[-1] - windows[0].instants[0])
    taken = max(1, min(len(windows), round(seconds / length)))
    start = (len(windows) - taken) // 2
    for window in windows[start : start + taken]:
        made = {name: rebuild(window, window.sequence, method, name) for name, method in methods.items()}
        for index, true in enumerate(window.frames_THWC[:-1]):
            pictures = {name: to_bytes(frames[index - 1]) if index else true for name, frames in made.items()}
            yield np.hstack([tile(picture, name, not index) for name, picture in {**pictures, "truth": true}.items()])


def tile(picture: np.ndarray, caption: str, kept: bool) -> np.ndarray:
    small = cv2.resize(picture, SHOWN, interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(small, CAPTION, 1, 1, 1, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    cv2.circle(framed, (SHOWN[0] - 6, 8), 3, (230, 230, 230) if kept else (70, 70, 70), -1, cv2.LINE_AA)
    return cv2.putText(framed, caption, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
