"""Where shots start: at the cuts that are known or found, but for those that a flash makes.

A flash that burns out, or lights a part of the rows, resembles nothing beside it. What is before and behind it tells: a
frame or two to which light jumps, between two that would be neighbours in one shot.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from vidcm.interpolation.looked import Looked
from vidcm.media.flash import MOST, Levels, flash_length

Frame = TypeVar("Frame", bound=Looked)


class CutDetector(Protocol):
    def is_cut(self, before: np.ndarray, after: np.ndarray, /) -> bool:
        """before, after: consecutive frames, or small ones of those around a flash, uint8 RGB [H, W, 3]. Whether
        `after` starts a new shot."""
        ...


class Told(NamedTuple, Generic[Frame]):
    """is_break: whether the frame looks unlike the one before it; is_cut: whether it starts a shot. Not the first."""

    frame: Frame
    is_break: bool
    is_cut: bool


@dataclass(frozen=True)
class Shots:
    """detector: None finds no cut. known: source frames that somebody says start a shot."""

    detector: CutDetector | None = None
    known: frozenset[int] = frozenset()

    def told(self, frames: Iterable[Frame]) -> Iterator[Told[Frame]]:
        """Every frame, in order. Looks ahead only as far as who asks for a flash."""
        coming = _Coming(self, iter(frames))
        earlier: list[Levels] = []  # of those before `before`, back to the last break
        before: Frame | None = None
        while coming.has(1):
            if earlier and before is not None:
                self._pass_over_flash(earlier, before, coming)
            each = coming.waiting.popleft()
            yield each
            earlier = [] if each.is_break or before is None else [*earlier, before.levels][-MOST:]
            before = each.frame

    def is_break(self, before: Looked, after: Looked) -> bool:
        if after.frame.index in self.known:
            return True
        return self.detector is not None and self.detector.is_cut(before.frame.seen, after.frame.seen)

    def _pass_over_flash(self, earlier: list[Levels], before: Frame, coming: "_Coming[Frame]") -> None:
        """Where one begins with the next frame, neither that nor the one behind it starts a shot."""
        count = flash_length(earlier, before.levels, coming.levels)
        passed = [coming.waiting[place] for place in range(count + 1)] if count else []
        if not any(told.is_break for told in passed) or any(told.frame.frame.index in self.known for told in passed):
            return
        if self.detector is not None and not self.detector.is_cut(before.small, passed[-1].frame.small):
            for place, told in enumerate(passed):
                coming.waiting[place] = told._replace(is_cut=False)


class _Coming(Generic[Frame]):
    """Frames that wait to be told, looked at for cuts."""

    def __init__(self, shots: Shots, frames: Iterator[Frame]) -> None:
        self._shots, self._frames = shots, frames
        self.waiting: deque[Told[Frame]] = deque()
        self._last: Frame | None = None

    def has(self, count: int) -> bool:
        while len(self.waiting) < count:
            frame = next(self._frames, None)
            is_break = self._last is not None and frame is not None and self._shots.is_break(self._last, frame)
            if self._last is not None:
                self._last.compared()
            if frame is None:
                return False
            _ = frame.levels  # while there are eight bits
            self.waiting.append(Told(frame, is_break, is_break))
            self._last = frame
        return True

    def levels(self, place: int) -> Levels | None:
        return self.waiting[place].frame.levels if self.has(place + 1) else None
