"""A contact sheet of made clips: a row each, a few of its frames in order, in one picture to look at."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vidcm.media.reader import open_reader

FRAMES, HEIGHT, MOST = 8, 112, 60  # frames of a row, their height in pixels; rows, spread evenly over all clips
CAPTION, GAP = 20, 4  # pixels
DARK, LIGHT = 24, (230, 230, 230)


def contact_sheet(clips: Sequence[tuple[str, Path]]) -> np.ndarray:
    """uint8 RGB [H, W, 3] of captions and video files."""
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(MOST, len(clips))).round().astype(int))
    rows = [_row(*clips[index]) for index in chosen]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=DARK) for row in rows])


def _row(caption: str, path: Path) -> np.ndarray:
    """The first and the last frame, and those evenly between."""
    with open_reader(path) as reader:
        small = [_shrunk(frame.rgb) for frame in reader]
    indices = np.unique(np.linspace(0, len(small) - 1, FRAMES).round().astype(int))
    strip = np.hstack([np.pad(small[i], ((0, 0), (0, GAP), (0, 0)), constant_values=DARK) for i in indices])
    framed = cv2.copyMakeBorder(strip, CAPTION, GAP, GAP, 0, cv2.BORDER_CONSTANT, value=(DARK,) * 3)
    plain = caption.encode("ascii", "replace").decode()
    return cv2.putText(framed, plain, (GAP, CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, LIGHT, 1, cv2.LINE_AA)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    size = (max(1, round(columns * HEIGHT / rows)), HEIGHT)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if rows > HEIGHT else cv2.INTER_NEAREST)
