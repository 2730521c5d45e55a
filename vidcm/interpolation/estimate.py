"""How long a run will take and how large it will be, told from its first frames where it takes more than a minute."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from vidcm.media.sizes import Sizes

WORTH_S = 60.0  # shorter runs are over before anybody has read it
LEAST_S, LEAST_MADE, LEAST_PACKETS = 5.0, 8, 12  # what is measured before it is told
LATEST_S = 30.0  # then it is told without a size: encoders keep their first second, and one may take minutes to make


@dataclass(frozen=True)
class Estimate:
    """left_s: seconds until the end; frames: of the whole output; size: bytes of its pictures, None: not known yet."""

    left_s: float
    frames: int
    size: int | None


@dataclass
class Forecast:
    """Call it after each output frame. `tell` is called once, or never where the run takes less than a minute; twice
    where the size is known much later than the time, and still worth telling.

    The clock starts with the first frame that was made, so that loading the model does not count.
    """

    tell: Callable[[Estimate], None]
    clock: Callable[[], float] = time.monotonic
    _started: tuple[float, int, int] | None = None  # time, frames written, frames made
    _is_over: bool = False
    _is_told: bool = False

    def __call__(self, written: int, made: int, expected: int, sizes: Sizes) -> None:
        """written: output frames so far; made: those that are no source frames; expected: in all."""
        if self._is_over or not made:
            return
        now, is_sized = self.clock(), sizes.packets >= LEAST_PACKETS
        if self._started is None:
            self._started = now, written, made
            return
        started, first, made_first = self._started
        took_s = now - started
        if took_s < LEAST_S or made - made_first < LEAST_MADE:
            return
        if not is_sized and (self._is_told or took_s < LATEST_S):
            return
        left_s = took_s / (written - first) * (expected - written)
        if (left_s if self._is_told else took_s + left_s) > WORTH_S:
            self.tell(Estimate(left_s, expected, sizes.expected(expected) if is_sized else None))
            self._is_told = True
        self._is_over = is_sized or not self._is_told
