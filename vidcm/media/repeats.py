"""Repeated pictures in a moving scene: animation on twos, frames that a recorder or a converter showed again.

A repeat is told from a pause by what is on both sides of it: things move, halt within one picture, and move on. What
moves slowly, comes to rest, or rests for more than a few frames is left as it is.
"""

from array import array

import numpy as np

from vidcm.media.change import SAME, change, halts, look
from vidcm.media.motion import dis_flow

LONGEST_RUN = 4  # frames for which one picture is shown: animation on fours; longer is a still
# With motion known on both sides, more may be left of it than `change.is_repeat` allows. Chosen on 30 train clips:
LEFT, SAME_AT_MOST = 0.2, 12.0


class RepeatFinder:
    """Feed it the frames of one shot in order, then `finish`; `found` has the numbers of the repeats, from 0 on.

    The first of equal pictures is no repeat; nor are those that the end follows: no motion leads on from them.
    motion: by how far things moved on average, from the frame before to each, in pixels of a picture 128 high.
    """

    def __init__(self) -> None:
        self.found: list[int] = []
        self.motion = array("f")
        self._last: np.ndarray | None = None  # the look of the frame before
        self._motion: np.ndarray | None = None  # the last change that was no repeat
        self._run: list[np.ndarray] = []  # changes since then
        self._is_still = False
        self._opening: np.ndarray | None = None  # the shot's first change, which may be a key frame's compression alone

    def add(self, picture: np.ndarray) -> None:
        """picture: uint8 RGB [H, W, 3]."""
        seen = look(picture)
        if self._last is not None:
            self._judge(change(self._last, seen))
        self.motion.append(0.0 if self._last is None else _motion(self._last, seen))
        self._last = seen

    def finish(self) -> list[int]:
        """Nothing follows. Returns `found`."""
        self._forget()
        return self.found

    def _judge(self, now: np.ndarray) -> None:
        if self._halts(now):
            self._is_still = self._is_still or len(self._run) + 1 >= LONGEST_RUN
            self._run = [] if self._is_still else [*self._run, now]
            return
        if self._is_repeated_opening(now):
            self.found.append(1)
        if now.max() > SAME and all(halts(each, now, LEFT, SAME_AT_MOST) for each in self._run):
            self.found += range(len(self.motion) - len(self._run), len(self.motion))
        self._opening = now if len(self.motion) == 1 else None
        self._motion = now
        self._forget()

    def _halts(self, now: np.ndarray) -> bool:
        if self._motion is None:  # the shot begins: below this it stands still
            return bool(now.max() < SAME)
        return bool(self._motion.max() > SAME) and halts(now, self._motion, LEFT, SAME_AT_MOST)

    def _is_repeated_opening(self, now: np.ndarray) -> bool:
        """Whether the second picture of the shot turns out to repeat the first, as things move only `now`."""
        is_short = not self._is_still and len(self._run) + 1 < LONGEST_RUN
        return self._opening is not None and is_short and halts(self._opening, now)

    def _forget(self) -> None:
        self._run, self._is_still = [], False


def _motion(a: np.ndarray, b: np.ndarray) -> float:
    x, y = dis_flow(a.astype(np.uint8), b.astype(np.uint8), "fast")
    return float(np.hypot(x, y).mean())
