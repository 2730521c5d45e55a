"""Easy Consistency Tuning (arXiv:2406.14548): from a diffusion model, tighten r towards t.

    x_t = circle(x0, n, t),  x_r = circle(x0, n, r)        same n: the two points share a noise direction
    L   = w(t, r) * || f(x_t, t) - sg f(x_r, r) ||          w = 1 / (t - r)

Unlike the paper, the norm is divided by sqrt(dimensions): lr and clipping carry over between latent sizes. And a share
of the batch, `centre`, may learn the mean of the data where there is no noise, at the angle of the first step,

    L   = mean (f(0, angle) - x0)^2

for samplers that go out from there (vidcm/sampling/anchored.py): a consistency function has no duty at that point.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, circle
from vidcm.core.distances import mean_square, root_mean_square
from vidcm.core.dropout import shared_dropout
from vidcm.core.noise import randn
from vidcm.core.times import T_MAX, ect_gap, log_normal, with_share_at
from vidcm.losses import register


@register("ect")
@dataclass(frozen=True)
class ECTLoss:
    q: float = 2.0  # each stage divides the gap 1 - r/t by q
    k: float = 8.0  # extra gap at small t
    b: float = 0.5  # how fast the extra gap fades with t: the paper's 1.0 per sigma, and t is 2 sigma
    p_mean: float = -0.4  # log-normal p(t): the paper's -1.1 plus ln 2, for the same reason
    p_std: float = 2.0
    t_max: float = T_MAX  # t is clipped here: where the sampler starts
    centre: float = 0.0  # share of the batch that learns the mean

    def __post_init__(self) -> None:
        if not 0 <= self.centre < 1:
            raise ValueError(f"centre must be a share of the batch, at least 0 and below 1, got {self.centre}")
        if self.q <= 1:
            raise ValueError(f"q must be larger than 1, or stages would not tighten r, got {self.q}")

    def r_of_t(self, t: Tensor, stage: int) -> Tensor:
        """The mapping p(r | t, stage): r in [0, t), elementwise."""
        return (t * (1 - ect_gap(t, stage, q=self.q, k=self.k, b=self.b))).clamp(min=0)

    def draw_t(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return log_normal(shape, self.p_mean, self.p_std, generator=generator).clamp(max=self.t_max)

    def __call__(self, f: Denoiser, x0: Tensor, *, stage: int, generator: torch.Generator) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B]."""
        t = self.draw_t((x0.shape[0],) + (1,) * (x0.ndim - 1), generator).to(x0.device)
        r = self.r_of_t(t, stage)
        noise = randn(x0.shape, generator=generator, device=x0.device)
        x, angle = circle(x0, noise, t)
        at_centre = torch.zeros_like(t, dtype=torch.bool)
        if self.centre:
            at_centre = with_share_at(t, math.inf, self.centre, generator=generator).isinf()
            x, angle = x.masked_fill(at_centre, 0), angle.masked_fill(at_centre, math.atan(self.t_max))

        with shared_dropout() as again:
            student = f(x, angle)
            with torch.no_grad(), again():
                target = f(*circle(x0, noise, r))  # f(x, 0) == x: the data itself where r = 0

        loss = root_mean_square(student, target) / (t - r).flatten()
        return torch.where(at_centre.flatten(), mean_square(student, x0), loss)
