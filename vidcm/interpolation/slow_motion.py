"""`--slow-motion N`: the file lasts N times as long, at the source's frame rate or one that is asked for.

On the source's clock this is a plan like any other: N frames for every source frame, or a grid of N R frames a second.
Its instants are then stretched by N from the output's zero on, and so are those of subtitles, chapters and sound: what
belongs together stays together.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import MAX_FACTOR, Gap, PlannedFrame, by_instant, by_position, number


@dataclass(frozen=True)
class SlowMotion:
    """times: how many times as long, above 1; rate: of the output, frames per second; None keeps the source's own.

    Without a rate, constant stays constant and variable stays variable, and with a whole N every source frame is shown.
    """

    times: Fraction
    rate: Fraction | None = None

    def __post_init__(self) -> None:
        if not 1 < self.times <= MAX_FACTOR:
            raise UserError(
                f"--slow-motion must be above 1 and at most {MAX_FACTOR}, got {float(self.times):g} (try 2 or 2.5)"
            )
        object.__setattr__(self, "times", Fraction(self.times))

    @property
    def stretch(self) -> Fraction:
        return self.times

    def frames(self, gap: Gap) -> Iterator[PlannedFrame]:
        """With instants on the source's clock."""
        return by_position(gap, self.times) if self.rate is None else by_instant(gap, self.times * self.rate)

    def output_rate(self, source_rate: Fraction | None) -> Fraction | None:
        """Frames per second of the output, None where the source (and so the output) has no constant rate."""
        return self.rate or source_rate

    def steps(self, step: Fraction) -> tuple[Fraction, ...]:
        """Seconds of which all instants of the output are multiples, for a source whose instants are of `step`."""
        if self.rate is None:
            return (step / self.times.denominator,)
        return (1 / self.rate, self.times * step)

    def count(self, source_frames: int, source_rate: Fraction) -> int:
        """Output frames to expect."""
        return math.ceil(source_frames * self.times * (self.rate or source_rate) / source_rate)


def parse_slow_motion(text: str, rate: Fraction | None) -> SlowMotion:
    """`2`, `2.5` or `5/2`. Raises UserError for 1 and less and whatever is not a number."""
    return SlowMotion(number(text, "--slow-motion", "2 or 2.5"), rate)
