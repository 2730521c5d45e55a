"""Instants: from the rounded timestamps of a container to exact rationals, and back to a time base that holds them.

A container counts time in ticks, a frame rate need not fall on them: 30000/1001 fps in Matroska's milliseconds reads
0, 33, 67, 100, 133 ... A `Clock` knows the lattice behind such numbers, start + k / rate, and gives every frame its
exact instant. Where no lattice fits (a phone's variable rate) the timestamps are taken at their word.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise

STANDARD_RATES = tuple(
    sorted(
        {
            Fraction(rate)
            for rate in (5, 6, 8, 10, 12, 15, 16, 18, 20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240)
        }
        | {Fraction(1000 * rate, 1001) for rate in (12, 15, 24, 30, 48, 60, 120, 240)}
        | {Fraction(15, 2), Fraction(25, 2)}
    )
)
MAX_TIMESCALE = 2**31 - 1  # MP4 and MOV count ticks per second in 32 bits, and muxers use the signed half
FLICKS = 705_600_000  # per second: holds all standard frame and sample rates
CHANCE = 1e-3  # how likely random instants may be to look like a lattice


@dataclass(frozen=True)
class Clock:
    """The lattice start + k * step that a stream's instants lie on.

    step: seconds; a frame period where a rate was recognised, else the container's tick.
    slack: by how much a container's timestamp may miss the lattice, seconds; 0 takes timestamps at their word.
    is_constant: whether every frame period seen held exactly one frame.
    loose: the container's tick where some instants miss the lattice, and count in ticks; 0 where none is known to.
    """

    start: Fraction
    step: Fraction
    slack: Fraction = Fraction(0)
    is_constant: bool = False
    loose: Fraction = Fraction(0)

    @property
    def steps(self) -> tuple[Fraction, ...]:
        """Seconds of which, from the start on, every instant is a sum of whole multiples."""
        return (self.step, self.loose) if self.loose else (self.step,)

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, None if variable."""
        return 1 / self.step if self.is_constant else None

    def exact(self, instant: Fraction) -> Fraction:
        """The lattice instant a timestamp stands for, or the timestamp itself where it is off the lattice."""
        if not self.slack:
            return instant
        place, miss = self.nearest(instant)
        return self.start + place * self.step if miss <= self.slack else instant

    def nearest(self, instant: Fraction) -> tuple[int, Fraction]:
        """Number of the lattice instant next to this one, and how far away it is, seconds."""
        steps = (instant - self.start) / self.step
        place = round(steps)
        return place, abs(steps - place) * self.step

    def holds(self, instant: Fraction) -> bool:
        """Whether a timestamp stands for an instant of the lattice."""
        return self.nearest(instant)[1] <= self.slack

    def worst_miss(self, instants: Iterable[Fraction]) -> Fraction | None:
        """How far from the lattice rising instants lie at most, None if more than the slack or two share a place."""
        worst, before = Fraction(0), None
        for instant in instants:
            place, miss = self.nearest(instant)
            if miss > self.slack or place == before:
                return None
            worst, before = max(worst, miss), place
        return worst

    def is_filled_by(self, instants: Sequence[Fraction]) -> bool:
        """Whether instants that each have a place of their own take places 0, 1, 2 ... with no gap."""
        first, last = (self.nearest(instant)[0] for instant in (instants[0], instants[-1]))
        return len(instants) > 1 and (first, last) == (0, len(instants) - 1)


def recognise(instants: Sequence[Fraction], tick: Fraction, declared: Iterable[Fraction] = ()) -> Clock:
    """The clock behind a stream's timestamps.

    instants: seconds, rising, at least one; tick: the container's unit of time; declared: rates the container claims.
    Of the rates that explain every instant, a standard one that is also declared wins, then the standard one that fits
    best, then a declared one; of equal fits, the lowest.
    """
    claims = [rate for rate in declared if rate]
    fits = {rate: miss for rate in (*STANDARD_RATES, *claims) if (miss := _miss(instants, tick, rate)) is not None}
    if not fits:
        return _even(instants, tick)
    rate = min(fits, key=lambda rate: (rate not in STANDARD_RATES, rate not in claims, fits[rate], rate))
    clock = Clock(instants[0], 1 / rate, slack=tick)
    return replace(clock, is_constant=clock.is_filled_by(instants))


def settle(
    sample: Clock, instants: Sequence[Fraction], end: Fraction, tick: Fraction, declared: Iterable[Fraction] = ()
) -> Clock:
    """The clock of a whole stream, given the one recognised from its first frames.

    instants, tick, declared: see `recognise`; end: of the last frame, seconds. A file that changes its rate is
    recognised anew. Where no lattice explains all of it, that of the sample stays for the frames that are on it.
    """
    if sample.worst_miss(instants) is not None:
        clock = replace(sample, is_constant=sample.is_constant and sample.is_filled_by(instants))
        is_loose = not clock.holds(end)
    else:
        clock = _settled_anew(sample, instants, tick, list(declared))
        is_loose = not all(map(clock.holds, chain([end], instants)))
    return replace(clock, loose=tick if is_loose else Fraction(0))


def _settled_anew(sample: Clock, instants: Sequence[Fraction], tick: Fraction, declared: Sequence[Fraction]) -> Clock:
    whole = recognise(instants, tick, declared)
    strays = sum(not sample.holds(instant) for instant in instants)
    is_proven = whole.slack > 0 and _luck(tick, 1 / whole.step, strays) <= CHANCE
    if is_proven or whole.is_constant or not _rises(map(sample.exact, instants)):
        return whole
    return replace(sample, is_constant=False) if sample.slack else whole


def _rises(instants: Iterable[Fraction]) -> bool:
    return all(before < after for before, after in pairwise(instants))


def _miss(instants: Sequence[Fraction], tick: Fraction, rate: Fraction) -> Fraction | None:
    """Largest distance to the lattice of `rate`, seconds; None where it does not explain the instants.

    Both ends of an offset are rounded, by half a tick each. A lattice so dense that random instants would fit as well
    explains nothing, unless each of its places is taken.
    """
    lattice = Clock(instants[0], 1 / rate, slack=tick)
    if lattice.nearest(instants[-1])[0] < len(instants) - 1:
        return None  # fewer places than instants
    is_likely = _luck(tick, rate, len(instants) - 1) > CHANCE
    if is_likely and not lattice.is_filled_by(instants):
        return None
    return lattice.worst_miss(instants)


def _luck(tick: Fraction, rate: Fraction, count: int) -> float:
    """How likely `count` random instants are to lie on the lattice of `rate`."""
    return min(1.0, float(2 * tick * rate)) ** count


def _even(instants: Sequence[Fraction], tick: Fraction) -> Clock:
    """No rate explains them: constant if they are equally spaced to the tick, else variable in whole ticks."""
    gap = even_gap(instants)
    return Clock(instants[0], tick) if gap is None else Clock(instants[0], gap, is_constant=True)


def even_gap(instants: Iterable[Fraction]) -> Fraction | None:
    """Seconds from each instant to the next, None if they differ or there is but one."""
    gaps = (after - before for before, after in pairwise(instants))
    gap = next(gaps, None)
    return gap if all(other == gap for other in gaps) else None


@dataclass(frozen=True)
class Timeline:
    """Instants of all frames of a clip and the end of the last one, in seconds."""

    instants: Sequence[Fraction]
    end: Fraction

    @classmethod
    def of(cls, instants: Sequence[Fraction], last_duration: Fraction | None = None) -> "Timeline":
        """instants: rising. Without a duration of its own the last frame lasts as long as the one before it."""
        if not _rises(instants):
            raise ValueError("instants must rise from frame to frame")
        if last_duration is None:
            last_duration = instants[-1] - instants[-2] if len(instants) > 1 else Fraction(0)
        return cls(instants, instants[-1] + last_duration)

    def duration_of(self, index: int) -> Fraction:
        """Seconds for which the frame 0 <= index < number of frames is shown."""
        is_last = index + 1 == len(self.instants)
        return (self.end if is_last else self.instants[index + 1]) - self.instants[index]

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last."""
        return self.end - self.instants[0]

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, None if variable."""
        gap = even_gap(self.instants)
        return None if gap is None else 1 / gap

    @property
    def average_rate(self) -> Fraction | None:
        return len(self.instants) / self.duration if self.duration else None


def common_time_base(*spans: Fraction) -> Fraction:
    """The coarsest 1/n seconds of which every span is a whole multiple.

    Give it the first instant and the smallest steps of a plan: factor 3 of a 30000/1001 fps stream that starts at 0 is
    common_time_base(0, 1001/90000). Where n would not fit into 32 bits it is the flick, off by less than a nanosecond.
    """
    ticks_per_second = math.lcm(*(Fraction(span).denominator for span in spans))
    return Fraction(1, ticks_per_second if ticks_per_second <= MAX_TIMESCALE else FLICKS)
