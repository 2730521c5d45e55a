"""Where overlays were found, and when: what a report tells of them."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

JOINED = 15  # pixels between parts of one overlay


@dataclass(frozen=True)
class Found:
    """An overlay. x, y, width, height: the pixels it lies within, as coded; from_s, to_s: the first and the last source
    frame that shows it, seconds from the first frame of the file on; frames: so many show it."""

    x: int
    y: int
    width: int
    height: int
    from_s: float
    to_s: float
    frames: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Log:
    """Where overlays were and when, a few numbers for each place. size: of the frames, pixels (height, width)."""

    def __init__(self, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
        self._size = size
        self.frames = np.zeros(shape, np.int32)
        self._first, self._last = np.full(shape, np.inf), np.full(shape, -np.inf)

    def add(self, instant: Fraction, overlay: np.ndarray) -> None:
        held = overlay > 0.5
        self.frames += held
        self._first[held] = np.minimum(self._first[held], float(instant))
        self._last[held] = float(instant)

    def found(self, origin: Fraction) -> list[Found]:
        held = (self.frames > 0).astype(np.uint8)
        count, labels = cv2.connectedComponents(cv2.dilate(held, np.ones((JOINED, JOINED))))
        return [self._one(np.where(held, labels, 0) == label, float(origin)) for label in range(1, count)]

    def _one(self, places: np.ndarray, origin: float) -> Found:
        rows, columns = np.nonzero(places)
        tall, wide = (full / small for full, small in zip(self._size, places.shape, strict=True))
        left, top = round(columns.min() * wide), round(rows.min() * tall)
        right, bottom = round((columns.max() + 1) * wide), round((rows.max() + 1) * tall)
        times = round(self._first[places].min() - origin, 3), round(self._last[places].max() - origin, 3)
        return Found(left, top, right - left, bottom - top, *times, int(self.frames[places].max()))
