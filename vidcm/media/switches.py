"""What changes all at once: burned-in lines that come, go, or give way to the next, whatever the ground does.

A place switches from one frame to the next where its level jumps to or from detail that is at rest, for long before or
afterwards. What moves does that as well, for what it covers or leaves may be at rest; but it does so to the neighbours
a frame earlier or later, and in no shape that is much wider than high. So a place counts where next to nothing around
it switches at the steps before and after, and as part of such a shape.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import cv2
import numpy as np

SIZE = 360  # pixels of the short side
PATCH, MEAN, AROUND = 3, 7, 41  # pixels that are averaged
FLICKERS, JUMPS = 4, 20  # grey levels: what compression makes of a level that stays, and what is surely another
DETAIL = 12  # grey levels: letters have more
LONG = 5  # frames at rest
OTHERS = 0.25  # of what switches around a place: so much may at the steps beside
GAP = (17, 9)  # pixels, across and down, between parts of one line
LEAST, MOST = 0.0005, 0.25  # share of the picture: of a short word; and where more jumps that was at rest it is light
WIDE = 2.5  # times as wide as high
NEAR = 11  # pixels around what jumps that are taken to belong to it


class Moment(NamedTuple):
    """A frame, uint8 [h, w]. step: by how much it differs from the frame before, grey levels; rest: frames since its
    level is what it is, up to LONG."""

    level: np.ndarray
    step: np.ndarray
    rest: np.ndarray


def moment_of(luma: np.ndarray, before: Moment | None) -> Moment:
    """luma: uint8 [H, W]; before: of the frame before, if it is known."""
    scale = min(1.0, SIZE / min(luma.shape))
    size = [max(1, round(side * scale)) for side in luma.shape[::-1]]
    level = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    if before is None or before.level.shape != level.shape:
        return Moment(level, np.zeros_like(level), np.ones_like(level))
    step = cv2.blur(cv2.absdiff(level, before.level), (PATCH, PATCH))
    return Moment(level, step, np.where(step < FLICKERS, np.minimum(before.rest + 1, LONG), 1).astype(np.uint8))


def switched(before: Moment | None, moments: Sequence[Moment]) -> np.ndarray | None:
    """How much each place switches from the first of `moments` to the second, float32 0..1 [h, w]; None: nothing.

    before: of the frame before them, if there is one; with fewer than LONG + 2 moments less is found."""
    now = moments[0]
    coming = list(takewhile(lambda each: each.level.shape == now.level.shape, moments))
    here = _jumps(coming)
    if not here.any():
        return None
    around, beside = _around(here), _around(_jumps(coming[1:]))
    if before is not None and before.level.shape == now.level.shape:
        beside = np.maximum(beside, _around(_jumps([before, *coming])))
    lines = _lines(here & (beside < OTHERS * around))
    is_light = ((now.rest >= LONG) & (coming[1].step >= JUMPS)).mean() > MOST
    if is_light or not lines.any():
        return None
    near = cv2.dilate(lines.astype(np.float32), np.ones((NEAR, NEAR)))
    return cv2.blur(near, (PATCH, PATCH))


def _lines(places: np.ndarray) -> np.ndarray:
    """Those that form something wide, bool [h, w]."""
    count, parts = cv2.connectedComponents(cv2.dilate(places.astype(np.uint8), np.ones(GAP[::-1])))
    kept = np.zeros_like(places)
    for part in range(1, count):
        those = places & (parts == part)
        rows, columns = np.nonzero(those)
        if len(rows) >= LEAST * places.size and np.ptp(columns) + 1 >= WIDE * (np.ptp(rows) + 1):
            kept |= those
    return kept


def _jumps(moments: Sequence[Moment]) -> np.ndarray:
    """Where there is a jump from the first to the second, to or from detail that is at rest: bool [h, w]."""
    first, *later = moments
    if not later or not (later[0].step >= JUMPS).any():
        return np.zeros(first.level.shape, bool)
    rests = _is_drawn(first)
    if len(later) >= LONG:
        rests |= _is_drawn(later[LONG - 1])
    return rests & (later[0].step >= JUMPS)


def _is_drawn(moment: Moment) -> np.ndarray:
    """Where there is detail that is at rest: bool [h, w]."""
    detail = cv2.absdiff(moment.level, cv2.blur(moment.level, (MEAN, MEAN)))
    return (moment.rest >= LONG) & (cv2.blur(detail, (PATCH, PATCH)) >= DETAIL)


def _around(places: np.ndarray) -> np.ndarray:
    return cv2.blur(places.astype(np.float32), (AROUND, AROUND))
