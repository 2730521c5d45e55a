"""Overlays are looked for by one finder after another, which take over at fixed frames of a file.

A finder never wholly forgets: a threshold crossed once shifts what follows. So that a part of a file, or one gap of it,
is judged just as in the whole, a new one begins WARM frames before each multiple of BLOCK, and is asked from there on.
"""

from collections.abc import Callable

import numpy as np

from vidcm.media.overlays import Evidence, OverlayFinder

BLOCK, WARM = 240, 48  # frames; by WARM what is remembered is full


def begin_for(index: int) -> int:
    """The frame from which on a part has to look that asks about frame `index`, and about all that follow."""
    return max(0, index // BLOCK * BLOCK - WARM)


class Relay:
    """Feed it the luma of all frames in order, from `begin_for` one on, with their indices in the file."""

    def __init__(self, finder: Callable[[], OverlayFinder] = OverlayFinder) -> None:
        self._new = finder
        self._now, self._next = finder(), None
        self._block, self._index = -1, 0

    def add(self, index: int, luma: np.ndarray) -> Evidence:
        """index: negative for a frame that is put in and has none: it counts with the one before it."""
        self._index = index if index >= 0 else self._index
        block, place = divmod(self._index, BLOCK)
        if block != self._block:
            self._now, self._next, self._block = self._next or self._now, None, block
        if self._next is None and place >= BLOCK - WARM:
            self._next = self._new()
        if self._next is not None:
            self._next.add(luma)
        return self._now.add(luma)
