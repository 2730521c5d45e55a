"""A contact sheet of clips: a row each, a few of its frames in order, in one picture to look at. Of a job that failed
its name and the reason, where its frames would be.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidcm.media.reader import open_reader

FRAMES, HEIGHT, MOST = 8, 112, 60  # frames of a row, their height in pixels; rows, spread evenly over all clips
CAPTION, GAP = 20, 4  # pixels
LINE = 90  # characters of a reason
DARK, LIGHT, RED = 24, (230, 230, 230), (255, 110, 90)
FONT, SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


@dataclass(frozen=True)
class Row:
    """clip: a video file; None where there is none, for this reason."""

    caption: str
    clip: Path | None
    reason: str = ""


def contact_sheet(clips: Sequence[Row]) -> np.ndarray:
    """uint8 RGB [H, W, 3]."""
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(MOST, len(clips))).round().astype(int))
    rows = [
        _missing(row) if row.clip is None else _row(row.caption, row.clip) for row in map(clips.__getitem__, chosen)
    ]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=DARK) for row in rows])


def _row(caption: str, path: Path) -> np.ndarray:
    """The first and the last frame, and those evenly between."""
    with open_reader(path) as reader:
        small = [_shrunk(frame.rgb) for frame in reader]
    indices = np.unique(np.linspace(0, len(small) - 1, FRAMES).round().astype(int))
    return _captioned(
        np.hstack([np.pad(small[i], ((0, 0), (0, GAP), (0, 0)), constant_values=DARK) for i in indices]), caption, LIGHT
    )


def _missing(row: Row) -> np.ndarray:
    """As high as the others, with the reason in lines of its own."""
    lines = textwrap.wrap(_plain(row.reason), LINE)[: HEIGHT // CAPTION]
    blank = np.full((HEIGHT, max(_width(text) for text in (row.caption, *lines)), 3), DARK, np.uint8)
    for number, text in enumerate(lines, 1):
        cv2.putText(blank, text, (GAP, number * CAPTION - 6), FONT, SIZE, RED, 1, cv2.LINE_AA)
    return _captioned(blank, row.caption, RED)


def _captioned(strip: np.ndarray, caption: str, colour: tuple[int, int, int]) -> np.ndarray:
    framed = cv2.copyMakeBorder(strip, CAPTION, GAP, GAP, 0, cv2.BORDER_CONSTANT, value=(DARK,) * 3)
    return cv2.putText(framed, _plain(caption), (GAP, CAPTION - 6), FONT, SIZE, colour, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    """What the font has."""
    return text.encode("ascii", "replace").decode()


def _width(text: str) -> int:
    return cv2.getTextSize(_plain(text), FONT, SIZE, 1)[0][0] + 2 * GAP


def _shrunk(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    size = (max(1, round(columns * HEIGHT / rows)), HEIGHT)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if rows > HEIGHT else cv2.INTER_NEAREST)
