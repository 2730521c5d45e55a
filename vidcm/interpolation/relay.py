"""Overlays are looked for by one finder after another, which take over at fixed frames of a file.

A finder never wholly forgets: a threshold crossed once shifts what follows. So that a part of a file, or one gap of it,
is judged just as in the whole, a new one begins WARM frames before each multiple of BLOCK, and is asked from there on.

A picture that is shown again, as in animation on twos, tells nothing of what moves: finders do not see it.
"""

from collections.abc import Callable

import cv2
import numpy as np

from vidcm.media.overlays import Evidence, OverlayFinder

BLOCK, WARM = 240, 48  # frames; by WARM what is remembered is full
SMALL, AROUND = (160, 90), 15  # pixels: width and height of what is compared, and of neighbourhoods in it
AGAIN = 0.75  # grey levels by which the mean of one may differ in a picture shown again: compression


def begin_for(index: int) -> int:
    """The frame from which on a part has to look that asks about frame `index`, and about all that follow."""
    return max(0, index // BLOCK * BLOCK - WARM)


class Relay:
    """Feed it the luma of all frames in order, from `begin_for` one on, with their indices in the file."""

    def __init__(self, finder: Callable[[], OverlayFinder] = OverlayFinder) -> None:
        self._new = finder
        self._now, self._next = finder(), None
        self._block, self._index = -1, 0
        self._last: np.ndarray | None = None
        self._evidence: Evidence | None = None
        self._coming: Evidence | None = None  # of the next finder

    def add(self, index: int, luma: np.ndarray) -> Evidence:
        """index: negative for a frame that is put in and has none: it counts with the one before it. The same evidence
        as for the frame before where a picture is shown again."""
        self._index = index if index >= 0 else self._index
        block, place = divmod(self._index, BLOCK)
        if block != self._block:
            self._now, self._next, self._block = self._next or self._now, None, block
            self._evidence, self._coming = self._coming or self._evidence, None
        is_again, is_new = self._is_again(luma), self._next is None and place >= BLOCK - WARM
        if is_new:
            self._next = self._new()
        if self._next is not None and (is_new or not is_again):  # a part begins with this very picture
            self._coming = self._next.add(luma)
        if self._evidence is None or not is_again:
            self._evidence = self._now.add(luma)
        return self._evidence

    def _is_again(self, luma: np.ndarray) -> bool:
        last, self._last = self._last, cv2.resize(luma, SMALL, interpolation=cv2.INTER_AREA)
        if last is None:
            return False
        return bool(cv2.blur(cv2.absdiff(last, self._last).astype(np.float32), (AROUND, AROUND)).max() < AGAIN)
