"""A contact sheet of scenes: the first, the middle and the last frame of each, in one picture to look at."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vidcm.core.aside import write_aside
from vidcm.data.clips import Clip, ClipCache

MOST = 60  # scenes, spread evenly over all there are
COLUMNS, TILE, CAPTION = 3, (144, 96), 18  # scenes side by side; pixels of a frame, width and height; of a line of text
DARK, LIGHT = (24, 24, 24), (230, 230, 230)
COLOURS = {"train": LIGHT, "val": (255, 200, 90)}


def contact_sheet(cache: ClipCache) -> np.ndarray:
    """uint8 RGB [H, W, 3]; scenes for validation have an orange caption."""
    chosen = np.unique(np.linspace(0, len(cache.clips) - 1, min(MOST, len(cache.clips))).round().astype(int))
    strips = [_strip(cache, cache.clips[index]) for index in chosen]
    blank = np.full_like(strips[0], DARK[0])
    rows = [strips[start : start + COLUMNS] for start in range(0, len(strips), COLUMNS)]
    return np.vstack([np.hstack(row + [blank] * (COLUMNS - len(row))) for row in rows])


def save_sheet(path: Path, sheet: np.ndarray) -> None:
    _, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    write_aside(path, data.tobytes())


def _strip(cache: ClipCache, clip: Clip) -> np.ndarray:
    frames = cache.frames(clip)
    pictures = [_fit(frames[index]) for index in (0, clip.length // 2, clip.length - 1)]
    return _captioned(np.hstack(pictures), f"{clip.file}  {clip.length} frames  {clip.split}", COLOURS[clip.split])


def _fit(picture: np.ndarray) -> np.ndarray:
    """Shrunk into a tile, bars around it."""
    height, width = picture.shape[:2]
    scale = min((TILE[0] - 2) / width, (TILE[1] - 2) / height)
    small = cv2.resize(picture, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA)
    top, left = (TILE[1] - small.shape[0]) // 2, (TILE[0] - small.shape[1]) // 2
    bottom, right = TILE[1] - small.shape[0] - top, TILE[0] - small.shape[1] - left
    return cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=DARK)


def _captioned(strip: np.ndarray, text: str, colour: Sequence[int]) -> np.ndarray:
    framed = cv2.copyMakeBorder(strip, CAPTION, 6, 4, 4, cv2.BORDER_CONSTANT, value=DARK)
    plain = text.encode("ascii", "replace").decode()
    return cv2.putText(framed, plain, (6, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, tuple(colour), 1, cv2.LINE_AA)
