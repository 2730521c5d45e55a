"""What both continuous-time consistency objectives share (arXiv:2410.11081, Algorithm 1): the tangent and its loss.

    f = cos x - sin F                                       F is read off f: the family's own network may be another
    g = cos df/dangle                                       the tangent, along dx/dangle
      = cos^2 (dx/dangle - F) + r cos (df/dangle - cos (dx/dangle - F))      r: warm-up, 0 -> 1
    g <- g / (||g|| + c)                                    normalised
    L = exp(w(angle)) ||F - sg(F) - g||^2 - w(angle)        w: learned with the student

The weight 1 / tan(angle) of the paper has already made cos df/dangle of the gradient of f.
Unlike the paper, both norms are per dimension (over sqrt(dimensions)), and the warm-up counts samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, angle_of, cos_sin, velocity_of
from vidcm.core.distances import mean_square, root_mean_square
from vidcm.core.dropout import shared_dropout
from vidcm.core.times import log_normal


@dataclass(frozen=True)
class ContinuousLoss:
    p_mean: float = -0.3  # of ln t: the paper's -1.0 plus ln 2, for its sigma_data = 0.5
    p_std: float = 1.4
    c: float = 0.1  # keeps small tangents small
    warmup: int = 20_000  # samples over which r rises; the paper's 10 000 steps, for budgets a thousand times smaller

    def draw_angle(self, x0: Tensor, generator: torch.Generator) -> Tensor:
        """[B, 1, ...] on the device of x0."""
        shape = (x0.shape[0],) + (1,) * (x0.ndim - 1)
        return angle_of(log_normal(shape, self.p_mean, self.p_std, generator=generator).to(x0.device))

    def tangent(self, x: Tensor, value: Tensor, df: Tensor, dx: Tensor, angle: Tensor, ramp: float) -> Tensor:
        """g before normalisation, where f(x, angle) = value and df is its derivative along dx. ramp: r."""
        cos, _ = cos_sin(angle)
        stable = cos * (dx - velocity_of(x, value, angle))
        return cos * (stable + ramp * (df - stable))

    def along(
        self,
        f: Denoiser,
        x: Tensor,
        angle: Tensor,
        dx: Tensor,
        derivative: Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor],
        log_weight: Callable[[Tensor], Tensor],
        samples_seen: int,
        log: Callable[[str, Tensor], None],
    ) -> tuple[Tensor, Tensor]:
        """The loss [B] of f at (x, angle) along the path of velocity dx, and f there; the rest: `losses.SUPPLIES`."""
        with shared_dropout() as again:
            student = f(x, angle)
            with torch.no_grad(), again():
                df = derivative(f, x, angle, dx)
        ramp = min(1.0, samples_seen / self.warmup) if self.warmup else 1.0
        g = self.tangent(x, student.detach(), df, dx, angle, ramp)
        size = root_mean_square(g, torch.zeros_like(g))
        log("tangent", size)
        g = g / (size.view(angle.shape) + self.c)
        velocity = velocity_of(x, student, angle)
        w = log_weight(angle)
        return w.exp() * mean_square(velocity, velocity.detach() + g) - w, student
