"""Which noise levels training draws (t) and sampling visits (angles).

t is the noise-to-signal ratio for unit data. EDM and ECT publish constants for sigma_data = 0.5: their sigma is t / 2,
so their means shift by ln 2 and their sigma_max of 80 is T_MAX = 160 here.
"""

import math

import torch
from torch import Tensor

from vidcm.core.circle import PURE_NOISE

T_MIN = 0.004
T_MAX = 160.0
START_ANGLE = math.atan(T_MAX)
"""Where samplers start: 0.006 rad before pure noise, as far as consistency training reaches (decision 0003)."""


def log_normal(shape: tuple[int, ...], mean: float, std: float, *, generator: torch.Generator) -> Tensor:
    """ln t ~ N(mean, std^2). Float32, on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device).mul(std).add(mean).exp()


def with_share_at(t: Tensor, value: float, share: float, *, generator: torch.Generator) -> Tensor:
    """Replace each entry of t by `value` (inf: pure noise) with probability `share`."""
    chosen = torch.rand(t.shape, generator=generator, device=generator.device) < share
    return t.masked_fill(chosen, value)


def ect_gap(t: Tensor, stage: int, *, q: float, k: float, b: float) -> Tensor:
    """1 - r/t of ECT (arXiv:2406.14548, eq. 14), before r is cut at 0; elementwise, > 0."""
    return (1 + k * torch.sigmoid(-b * t)) / q ** (stage + 1)


def edm_weight(angle: Tensor) -> Tensor:
    """EDM's lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 for unit data: 1 / sin^2, 1 at pure noise."""
    return angle.sin() ** -2


def edm_angles(steps: int, *, t_min: float = T_MIN, t_max: float = T_MAX, rho: float = 7.0) -> tuple[float, ...]:
    """EDM's schedule (arXiv:2206.00364, eq. 5) as steps + 1 falling angles, the last one 0."""
    first, last = t_max ** (1 / rho), t_min ** (1 / rho)
    ramp = (first + (last - first) * i / max(steps - 1, 1) for i in range(steps))
    return (*(math.atan(root**rho) for root in ramp), 0.0)


def uniform_angles(steps: int, *, start: float = START_ANGLE) -> tuple[float, ...]:
    """steps + 1 angles evenly from `start` to 0."""
    return tuple(start * (1 - i / steps) for i in range(steps + 1))


def flow_angles(steps: int, *, shift: float = 1.0) -> tuple[float, ...]:
    """Rectified flow's s evenly from 1 to 0, moved to shift s / (1 + (shift - 1) s), as steps + 1 angles from pi/2."""
    even = (1 - i / steps for i in range(steps + 1))
    shifted = (shift * s / (1 + (shift - 1) * s) for s in even)
    return tuple(PURE_NOISE if s == 1 else math.atan(s / (1 - s)) for s in shifted)
