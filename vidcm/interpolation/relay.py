"""Overlays are looked for by one finder after another, which take over at fixed frames of a file.

A finder never wholly forgets: a threshold crossed once shifts what follows. So that a part of a file, or one gap of it,
is judged just as in the whole, a new one begins WARM frames before each multiple of BLOCK, and is asked from there on.

A picture that is shown again, as in animation on twos, tells nothing of what moves: finders do not see it.
"""

from collections.abc import Callable

import cv2
import numpy as np

from vidcm.media.overlays import Evidence, OverlayFinder

Planes = tuple[np.ndarray, ...]
BLOCK, WARM = 240, 48  # frames; by WARM what is remembered is full
SMALL, AROUND = (160, 90), 15  # pixels: width and height of what is compared, and of neighbourhoods in it
AGAIN = 0.75  # grey levels by which the mean of one may differ in a picture shown again: compression


def begin_for(index: int) -> int:
    """The frame from which on a part has to look that asks about frame `index`, and about all that follow."""
    return max(0, index // BLOCK * BLOCK - WARM)


class Watch:
    """A finder, and the picture that it saw last: what is compared with that one, however slowly it changes."""

    def __init__(self, finder: OverlayFinder, planes: Planes, small: np.ndarray) -> None:
        self._finder, self._seen, self._evidence = finder, small, finder.add(*planes)

    def add(self, planes: Planes, small: np.ndarray) -> Evidence:
        """small: the luma at SMALL. The same evidence as before where the picture is shown again."""
        apart = cv2.blur(cv2.absdiff(self._seen, small).astype(np.float32), (AROUND, AROUND)).max()
        if apart >= AGAIN:
            self._seen, self._evidence = small, self._finder.add(*planes)
        return self._evidence


class Relay:
    """Feed it the planes of all frames in order, from `begin_for` one on, with their indices in the file."""

    def __init__(self, finder: Callable[[], OverlayFinder] = OverlayFinder) -> None:
        self._new = finder
        self._now: Watch | None = None
        self._next: Watch | None = None
        self._block, self._index = -1, 0

    def add(self, index: int, *planes: np.ndarray) -> Evidence:
        """planes: luma, and colours if there are any, as for a finder. index: negative for a frame that is put in and
        has none: it counts with the one before it."""
        self._index = index if index >= 0 else self._index
        block, place = divmod(self._index, BLOCK)
        if block != self._block:
            self._now, self._next, self._block = self._next or self._now, None, block
        small = cv2.resize(planes[0], SMALL, interpolation=cv2.INTER_AREA)
        if self._next is not None:
            self._next.add(planes, small)
        elif place >= BLOCK - WARM:
            self._next = Watch(self._new(), planes, small)
        if self._now is None:
            self._now = Watch(self._new(), planes, small)
        return self._now.add(planes, small)
