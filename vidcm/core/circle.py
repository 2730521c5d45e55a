"""The common noise coordinate: a circle from data (angle 0) to pure noise (angle pi/2).

    x = cos(angle) x0 + sin(angle) noise          t = tan(angle), the noise-to-signal ratio
    v = dx/dangle = cos(angle) noise - sin(angle) x0

x0 and noise have unit standard deviation, hence x has it too, at every angle. Pure noise (t infinite) is a legal point.
Angles are radians in [0, pi/2], float32 or float64, shaped [B, 1, 1, ...] so that they broadcast over x [B, ...].
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

PURE_NOISE = math.pi / 2

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""denoiser(x [B, ...], angle [B, 1, ...]) -> estimate of x0 [B, ...]. A consistency function f has f(x, 0) == x."""


def cos_sin(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, exact at pure noise: float32 rounds pi/2 up, where the cosine would turn negative."""
    pure = angle >= PURE_NOISE
    return angle.cos().masked_fill(pure, 0.0), angle.sin().masked_fill(pure, 1.0)


def angle_of(t: Tensor) -> Tensor:
    """t in [0, inf] -> angle in [0, pi/2], elementwise."""
    return t.atan()


def t_of(angle: Tensor) -> Tensor:
    """angle in [0, pi/2] -> t in [0, inf], elementwise; exactly inf at pi/2."""
    return angle.tan().masked_fill(angle >= PURE_NOISE, math.inf)


def mix(x0: Tensor, noise: Tensor, angle: Tensor) -> Tensor:
    """The point of the circle at `angle`: x0 itself at 0, the noise itself at pi/2."""
    cos, sin = cos_sin(angle)
    return cos * x0 + sin * noise


def circle(x0: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(x, angle) at noise-to-signal ratio t [B, 1, ...] in [0, inf]: the arguments of a denoiser."""
    angle = angle_of(t)
    return mix(x0, noise, angle), angle


def noise_of(x: Tensor, x0: Tensor, angle: Tensor) -> Tensor:
    """The noise that x holds if its clean part is x0; angle > 0."""
    cos, sin = cos_sin(angle)
    return (x - cos * x0) / sin


def velocity_of(x: Tensor, x0: Tensor, angle: Tensor) -> Tensor:
    """v = dx/dangle on the probability-flow path through x if the denoiser says x0 there; angle > 0."""
    cos, sin = cos_sin(angle)
    return (cos * x - x0) / sin


def per_sample(value: float, like: Tensor) -> Tensor:
    """One value for every sample of `like` [B, ...]: a tensor [B, 1, ...] on its device, float32 or wider."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.full((like.shape[0],) + (1,) * (like.ndim - 1), value, device=like.device, dtype=dtype)
