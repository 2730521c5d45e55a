"""The teacher's sampler: the probability-flow ODE in as many steps as it takes."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from vidcm.core.circle import Denoiser, per_sample
from vidcm.core.solvers import Solver, heun


def ode(
    denoiser: Denoiser, noise: Tensor, angles: Sequence[float], solver: Solver = heun, temperature: float = 1.0
) -> Tensor:
    """noise: unit variance, [B, ...], scaled by temperature here; angles: falling, the last one 0 (see core.times)."""
    x = temperature * noise
    for angle, next_angle in pairwise(angles):
        x = solver(denoiser, x, per_sample(angle, x), per_sample(next_angle, x))
    return x
