"""Many instants in little memory: whole ticks, 8 bytes each, that become exact seconds when looked at.

An hour of 60 fps is 216,000 of them: 1.7 MB here, some 20 MB as Fractions.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from operator import eq
from typing import overload

import numpy as np


class Instants(Sequence[Fraction]):
    """A sequence of seconds. Slices share its memory; it equals any sequence of the same numbers."""

    def __init__(
        self, ticks: memoryview, tick: Fraction, exact: Callable[[Fraction], Fraction] = lambda instant: instant
    ) -> None:
        """ticks: whole numbers, rising; tick: in seconds; exact: what an instant stands for, such as `Clock.exact`."""
        self._ticks, self._tick, self._exact = ticks, tick, exact

    def __len__(self) -> int:
        return len(self._ticks)

    @overload
    def __getitem__(self, index: int) -> Fraction: ...
    @overload
    def __getitem__(self, index: slice) -> "Instants": ...
    def __getitem__(self, index: int | slice) -> "Fraction | Instants":
        if isinstance(index, slice):
            return Instants(self._ticks[index], self._tick, self._exact)
        return self._seconds(self._ticks[index])

    def __iter__(self) -> Iterator[Fraction]:
        return map(self._seconds, self._ticks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def distinct(self) -> "Instants":
        """The same without those that stand for the same instant as the one before."""
        kept, before = array("q"), None
        for ticks in self._ticks:
            if (instant := self._seconds(ticks)) != before:
                kept.append(ticks)
            before = instant
        return Instants(memoryview(kept), self._tick, self._exact)

    def _seconds(self, ticks: int) -> Fraction:
        return self._exact(Fraction(ticks * self._tick.numerator, self._tick.denominator))


class Timestamps:
    """The timestamps of a stream's packets, in ticks, collected in the order in which the packets come."""

    def __init__(self) -> None:
        self._ticks = array("q")
        self._latest, self.last_duration = 0, 0  # last_duration: of the packet shown last, ticks; 0 if it has none

    def __len__(self) -> int:
        return len(self._ticks)

    def add(self, pts: int, duration: int | None) -> None:
        if not self._ticks or pts >= self._latest:
            self._latest, self.last_duration = pts, duration or 0
        self._ticks.append(pts)

    def gaps(self, least: int) -> list[tuple[int, int]]:
        """(from, to), in ticks, wherever nothing is shown for longer than `least`; the last frame's end counts too."""
        ticks = np.array([*self.rising(), self._latest + self.last_duration], dtype=np.int64)
        return [(int(ticks[place]), int(ticks[place + 1])) for place in np.flatnonzero(np.diff(ticks) > least)]

    def rising(self) -> memoryview:
        """Each timestamp once, in order. Nothing can be added while this is in use."""
        ticks = np.frombuffer(self._ticks, dtype=np.int64)
        ticks.sort()
        is_new = np.ones(len(ticks), dtype=bool)
        is_new[1:] = ticks[1:] != ticks[:-1]
        return memoryview((ticks if is_new.all() else ticks[is_new]).data)
