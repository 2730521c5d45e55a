"""The derivative of f(x, angle) along a path: df/dangle = (df/dx) dx/dangle + (partial f)/(partial angle).

`exact` is one forward-mode pass (a Jacobian-vector product); `discrete` needs nothing of the network but two values.
Both see one dropout mask, that of the generators as they stand, and both are to be called without gradient.
"""

import torch
from torch import Tensor

from vidcm.core.circle import PURE_NOISE, Denoiser
from vidcm.core.dropout import shared_dropout

STEP = 2e-4
"""Radians. The fastest wave of a network that reads timesteps of 0 to 1000 turns by 0.13 in it: curvature takes 3e-3 of
the derivative (at 2e-3 radians a quarter of it), and in float32 rounding adds some 1e-4 of |x|."""


def exact(f: Denoiser, x: Tensor, angle: Tensor, dx: Tensor) -> Tensor:
    """Forward-mode. Raises what torch raises where an operation of f has no such derivative, as fused attention."""
    tangent: Tensor = torch.func.jvp(f, (x, angle), (dx, torch.ones_like(angle)))[1]
    return tangent


def discrete(f: Denoiser, x: Tensor, angle: Tensor, dx: Tensor, step: float = STEP) -> Tensor:
    """Central difference of order 2 in `step` (one-sided, order 1, within a step of 0 and pi/2)."""
    before, after = (angle - step).clamp(min=0), (angle + step).clamp(max=PURE_NOISE)
    with shared_dropout() as again:
        ahead = f(x + (after - angle) * dx, after)
        with again():
            behind = f(x + (before - angle) * dx, before)
    return (ahead - behind) / (after - before)
