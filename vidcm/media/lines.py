"""Thin lines that stand still in front of what moves under a fixed camera: frame rectangles, cross hairs, scales.

A line a pixel wide is half gone in the small pictures on which detail is compared, and what is left of it changes with
the ground behind it. So lines are looked for by themselves, on larger pictures: places that are brighter, or darker,
than what is two pixels away on either side, in most of a run of them, across or upright. Where one is seen at both ends
of a gap, and in all of some frames before or after, it is there in between, whatever moves behind it: what moves is
not in one place for so long, and what something passes in front of is not seen at both ends. A camera that moves along
a ledge shows it in one place, too: where much of a picture changes nothing is told of lines.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import cv2
import numpy as np

SIZE = 720  # pixels of the short side
STANDS_OUT = 24  # grey levels from both sides
BESIDE, RUN = 2, 25  # pixels to either side; and along a line, of which most have to be seen
ACROSS, UPRIGHT = 1, 2
LONG = 7  # frames
CHANGES, AROUND = 4, 15  # grey levels, and pixels of the step around a line: where nothing changes nothing is dragged
FIXED = 0.25  # of a picture: where no more changes the camera is at rest


class Traced(NamedTuple):
    """A frame, uint8 [h, w]. lines: which are seen there, ACROSS | UPRIGHT; rest: for how many frames any was, up to
    LONG."""

    lines: np.ndarray
    rest: np.ndarray


def traced(luma: np.ndarray, before: Traced | None) -> Traced:
    """luma: uint8 [H, W]; before: of the frame before, if it is known."""
    scale = min(1.0, SIZE / min(luma.shape))
    size = [max(1, round(side * scale)) for side in luma.shape[::-1]]
    level = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    lines = _lines(level, ACROSS) | _lines(level, UPRIGHT)
    is_seen = np.minimum(lines, 1)
    if before is None or before.lines.shape != lines.shape:
        return Traced(lines, is_seen)
    return Traced(lines, is_seen * np.minimum(before.rest + 1, LONG))


def still_lines(frames: Sequence[Traced], step: np.ndarray) -> np.ndarray | None:
    """Where lines stay from the first of `frames` to the second, float32 0 or 1, like `step`; None: nothing.

    step: by how much the two differ, grey levels [h, w] of a smaller picture."""
    first, *later = takewhile(lambda each: each.lines.shape == frames[0].lines.shape, frames)
    changes = (step >= CHANGES).astype(np.float32)
    if not later or changes.mean() > FIXED:
        return None
    is_long = cv2.max(later[0].rest, later[-1].rest) // LONG
    stays = cv2.min(cv2.bitwise_and(first.lines, later[0].lines), is_long).astype(np.float32)
    beside = cv2.dilate(changes, np.ones((AROUND, AROUND)))
    found = np.ceil(cv2.resize(stays, step.shape[::-1], interpolation=cv2.INTER_AREA)) * beside
    return found if found.any() else None


def _lines(level: np.ndarray, way: int) -> np.ndarray:
    """`way` where a line goes that way, else 0: uint8 [h, w]."""
    (height, width), is_across = level.shape, way == ACROSS
    down, right = (BESIDE, 0) if is_across else (0, BESIDE)
    wider = cv2.copyMakeBorder(level, down, down, right, right, cv2.BORDER_REPLICATE)
    one, other = wider[:height, :width], wider[2 * down :, 2 * right :]
    apart = cv2.max(cv2.subtract(level, cv2.max(one, other)), cv2.subtract(cv2.min(one, other), level))
    _, seen = cv2.threshold(apart, STANDS_OUT - 1, 255, cv2.THRESH_BINARY)
    share = cv2.blur(seen, (RUN, 1) if is_across else (1, RUN), borderType=cv2.BORDER_REPLICATE)
    return cv2.threshold(share, 127, way, cv2.THRESH_BINARY)[1]
