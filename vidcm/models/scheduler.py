"""Where few-step sampling goes: stored with the weights, chosen on validation data."""

import math

from vidcm.core.times import START_ANGLE
from vidcm.models.network import Scheduler, configured


class ConsistencyScheduler(Scheduler):
    """The largest and the middle angle of consistency sampling and the temperature of its noise.

    start: angle of the first step; middle: that of the second; radians in (0, pi/2].
    temperature: scale of the noise; 1 is what the model was trained with, 0 leaves none.
    trust, spread: how much of the centre, and of the way from it to a sample, is taken (vidcm.sampling.anchored).
    sides: how far, at temperature 1, the shares are drawn from their means that frames before and after a pair get in
    what is believed of them (vidcm.models.belief).
    """

    @configured
    def __init__(
        self,
        start: float = START_ANGLE,
        middle: float = math.atan(1.6),
        temperature: float = 1.0,
        trust: float = 1.0,
        spread: float = 1.0,
        sides: float = 0.0,
    ):
        if not 0 < middle < start <= math.pi / 2:
            raise ValueError(f"angles must fall: 0 < middle < start <= pi/2, got start {start}, middle {middle}")
        if temperature < 0:
            raise ValueError(f"temperature must be at least 0, got {temperature}")
        for name, share in (("trust", trust), ("spread", spread), ("sides", sides)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {share}")

    @property
    def anchor(self) -> dict[str, float]:
        """trust and spread, as `anchored` takes them."""
        return {"trust": self.config.trust, "spread": self.config.spread}

    def angles(self, steps: int) -> tuple[float, ...]:
        """`steps` falling angles: (start,), (start, middle), or even parts of the way from the start to zero."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if steps == 2:
            return (self.config.start, self.config.middle)
        return tuple(self.config.start * (1 - i / steps) for i in range(steps))
