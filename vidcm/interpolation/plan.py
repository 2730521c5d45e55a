"""Which output frame shows what: exact rational instants, one gap between two source frames at a time.

A gap runs from a source frame's instant to the next one's. Every output frame lies in exactly one gap, at
instant = start + tau (end - start) with tau in [0, 1), and tau = 0 *is* the source frame. The last source frame's gap
is its own duration: whatever falls there repeats it. So a plan needs two instants at a time, never the whole file, and
the output lasts exactly as long as the input.

    Factor(N)   positions 0, 1/N, 2/N ... counted in source frames: constant stays constant, variable stays variable
    Rate(R)     instants  0, 1/R, 2/R ... counted in seconds from the first frame: always constant

Slow motion (`slow_motion.py`) plans by one of the two, and the writer stretches the clock.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeVar

from vidcm.core.errors import UserError

MAX_FACTOR = 64
MAX_RATE = 1000
NTSC = Fraction(1000, 1001)


@dataclass(frozen=True)
class PlannedFrame:
    """One output frame: source frame `source` itself, or what lies at tau between `source` and the one `span` later."""

    instant: Fraction  # seconds, on the input's own clock
    source: int
    tau: Fraction  # [0, 1); 0 is the source frame, untouched
    span: int = 1  # more where source frames between the two are not used


@dataclass(frozen=True)
class Gap:
    """From source frame `index` to the next one, or to the end of the file if there is none. Instants in seconds."""

    index: int
    start: Fraction
    end: Fraction  # > start
    origin: Fraction  # instant of the file's first frame
    is_tail: bool = False

    def frame(self, tau: Fraction) -> PlannedFrame:
        """The output frame at tau, which the tail holds still."""
        instant = self.start + tau * (self.end - self.start)
        return PlannedFrame(instant, self.index, Fraction(0) if self.is_tail else tau)


@dataclass(frozen=True)
class Factor:
    """`factor` output frames for every source frame, >= 2.

    A whole factor keeps every source frame at its own instant, with evenly spaced frames between neighbours. p/q keeps
    every q-th one: the only way for 24 fps times 5/2 to be an even 60.
    """

    factor: Fraction

    def __post_init__(self) -> None:
        if not 2 <= self.factor <= MAX_FACTOR:
            raise UserError(
                f"--factor must be between 2 and {MAX_FACTOR}, got {float(self.factor):g} (--fps takes any rate)"
            )
        object.__setattr__(self, "factor", Fraction(self.factor))  # a Python caller's 2, too, is divided exactly

    @property
    def stretch(self) -> Fraction:
        """Seconds of the output for each second of the source."""
        return Fraction(1)

    def frames(self, gap: Gap) -> Iterator[PlannedFrame]:
        return by_position(gap, self.factor)

    def output_rate(self, source_rate: Fraction | None) -> Fraction | None:
        """Frames per second of the output, None where the source (and so the output) has no constant rate."""
        return source_rate and source_rate * self.factor

    def steps(self, step: Fraction) -> tuple[Fraction, ...]:
        """Seconds of which all output instants are multiples, for a source whose instants are multiples of `step`."""
        return (step / self.factor.numerator,)

    def count(self, source_frames: int, source_rate: Fraction) -> int:
        """Output frames to expect."""
        return math.ceil(source_frames * self.factor)


@dataclass(frozen=True)
class Rate:
    """A constant frame rate: a grid from the first source frame on. An instant that is a source frame's shows it."""

    rate: Fraction  # frames per second

    def __post_init__(self) -> None:
        if not 0 < self.rate <= MAX_RATE:
            raise UserError(
                f"--fps must be above 0 and at most {MAX_RATE}, got {float(self.rate):g} (try 60 or 24000/1001)"
            )
        object.__setattr__(self, "rate", Fraction(self.rate))

    @property
    def stretch(self) -> Fraction:
        """Like `Factor.stretch`."""
        return Fraction(1)

    def frames(self, gap: Gap) -> Iterator[PlannedFrame]:
        return by_instant(gap, self.rate)

    def output_rate(self, source_rate: Fraction | None) -> Fraction | None:
        """Frames per second of the output."""
        return self.rate

    def steps(self, step: Fraction) -> tuple[Fraction, ...]:
        """Like `Factor.steps`. The source's own step is among them, for the end of the last frame."""
        return (1 / self.rate, step)

    def count(self, source_frames: int, source_rate: Fraction) -> int:
        """Output frames to expect, from the source's average rate."""
        return math.ceil(source_frames / source_rate * self.rate)


class Rule(Protocol):
    """What plans: `Factor`, `Rate` or `SlowMotion`."""

    @property
    def stretch(self) -> Fraction: ...
    def frames(self, gap: Gap) -> Iterator[PlannedFrame]: ...
    def output_rate(self, source_rate: Fraction | None) -> Fraction | None: ...
    def steps(self, step: Fraction) -> tuple[Fraction, ...]: ...
    def count(self, source_frames: int, source_rate: Fraction) -> int: ...


T = TypeVar("T", bound="Timed")


class Timed(Protocol):
    """A source frame as the plan sees it."""

    @property
    def instant(self) -> Fraction: ...
    @property
    def duration(self) -> Fraction: ...


def by_position(gap: Gap, factor: Fraction) -> Iterator[PlannedFrame]:
    """`factor` frames for every source frame, evenly spaced in its gap."""
    for count in range(math.ceil(gap.index * factor), math.ceil((gap.index + 1) * factor)):
        yield gap.frame(count / factor - gap.index)


def by_instant(gap: Gap, rate: Fraction) -> Iterator[PlannedFrame]:
    """Those of a grid with `rate` frames per second of the source that lie in the gap."""
    start, end = ((instant - gap.origin) * rate for instant in (gap.start, gap.end))
    for count in range(math.ceil(start), math.ceil(end)):
        yield gap.frame((count - start) / (end - start))


def gaps(frames: Iterable[T], origin: Fraction | None = None, number: int = 0) -> Iterator[tuple[Gap, T, T | None]]:
    """Source frames, instants rising -> (gap, its first frame, its last frame or None at the end). Holds two frames.

    origin: instant of the first frame of the file, and number: how many come before these, in a part of one.
    """
    ahead = iter(frames)
    first = next(ahead, None)
    if first is None:
        return
    origin = first.instant if origin is None else origin
    for index in itertools.count(number):
        last = next(ahead, None)
        if last is None:
            yield Gap(index, first.instant, first.instant + first.duration, origin, is_tail=True), first, None
            return
        yield Gap(index, first.instant, last.instant, origin), first, last
        first = last


def plan(
    rule: Rule, frames: Iterable[Timed], origin: Fraction | None = None, number: int = 0
) -> Iterator[PlannedFrame]:
    """Every output frame of a file, or of a part of one, in order. origin, number: see `gaps`."""
    return (planned for gap, _, _ in gaps(frames, origin, number) for planned in rule.frames(gap))


def parse_factor(text: str) -> Factor:
    """`2`, `2.5` or `5/2`. Raises UserError for anything below 2 and whatever is not a number."""
    return Factor(number(text, "--factor", "2 or 5/2"))


def parse_rate(text: str, option: str = "--fps") -> Rate:
    """`60`, `24000/1001`, or a rounded NTSC name such as `23.976` or `29.97`, which is taken for the exact rate."""
    return Rate(exact_rate(number(text, option, "60, 23.976 or 24000/1001"), decimals=len(text.partition(".")[2])))


def exact_rate(rate: Fraction, decimals: int) -> Fraction:
    """The 1000/1001 rate that `rate` is short for, from two decimals on, else `rate` itself: 23.98 -> 24000/1001."""
    nominal = math.ceil(rate)
    exact = nominal * NTSC
    is_short_form = decimals >= 2 and nominal % 3 == 0 and abs(rate - exact) <= Fraction(1, 2 * 10**decimals)
    return exact if is_short_form else rate


def number(text: str, option: str, example: str) -> Fraction:
    """The value of an option. Raises UserError. Digits are few: Fraction would gladly spend an hour on 1e999999999."""
    if not re.fullmatch(r"[+-]?\d{1,9}(\.\d{0,9}|/0*[1-9]\d{0,8})?", text.strip()):
        raise UserError(f"{option} must be a number such as {example}, got {text[:40]!r}")
    return Fraction(text.strip())
