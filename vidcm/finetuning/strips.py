"""Strips of clips side by side: a row for each clip, its first, middle and last frame by each of several makers."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

TILE, CAPTION = 160, 20  # pixels of a frame's long side; height of a line of text
DARK, LIGHT = (24, 24, 24), (230, 230, 230)


def strips(rows: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """rows: name -> uint8 RGB [T, H, W, 3], of one size. Returns uint8 RGB [H, W, 3]."""
    return np.vstack([np.hstack([_strip(name, frames) for name, frames in row.items()]) for row in rows])


def _strip(name: str, frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    scale = TILE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = [cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA) for i in (0, len(frames) // 2, len(frames) - 1)]
    framed = cv2.copyMakeBorder(np.hstack(shown), CAPTION, 2, 4, 4, cv2.BORDER_CONSTANT, value=DARK)
    return cv2.putText(framed, name, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, LIGHT, 1, cv2.LINE_AA)
