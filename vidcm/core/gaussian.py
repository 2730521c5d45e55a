"""Exact answers for Gaussian data, x0 ~ N(0, std^2) in every dimension: the oracle behind the tests of all objectives.

No network, no tolerance but rounding. std != 1 makes them informative: at unit std x does not move along the path.
"""

from torch import Tensor

from vidcm.core.circle import cos_sin


def scale(angle: Tensor, std: float) -> Tensor:
    """Standard deviation of x = cos(angle) x0 + sin(angle) noise."""
    cos, sin = cos_sin(angle)
    return ((cos * std) ** 2 + sin**2).sqrt()


def gaussian_denoiser(x: Tensor, angle: Tensor, std: float) -> Tensor:
    """E[x0 | x]: what diffusion training converges to."""
    cos, _ = cos_sin(angle)
    return x * cos * std**2 / scale(angle, std) ** 2


def gaussian_consistency(x: Tensor, angle: Tensor, std: float) -> Tensor:
    """Where the probability-flow path through x ends: what consistency training converges to."""
    return x * std / scale(angle, std)
