"""Diffusion pretraining (EDM, arXiv:2206.00364): what the ODE teacher needs, and where consistency tuning starts.

    x, angle = circle(x0, noise, t),  ln t ~ N(p_mean, p_std^2)
    L = lambda(t) mean (f(x, angle) - x0)^2,  lambda = 1 / sin(angle)^2    EDM's weighting: uniform on the raw network

Unlike the paper, a share of the batch is pure noise, so that samplers may start at angle pi/2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, circle
from vidcm.core.distances import mean_square
from vidcm.core.noise import randn
from vidcm.core.times import edm_weight, log_normal, with_share_at
from vidcm.losses import register


@register("diffusion")
@dataclass(frozen=True)
class DiffusionLoss:
    p_mean: float = -0.5  # log-normal p(t): the paper's -1.2 plus ln 2, for its sigma_data = 0.5
    p_std: float = 1.2
    pure_noise: float = 0.05  # share of the batch at angle pi/2

    def __call__(self, f: Denoiser, x0: Tensor, *, stage: int, generator: torch.Generator) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B].

        `stage` changes nothing here.
        """
        shape = (x0.shape[0],) + (1,) * (x0.ndim - 1)
        t = log_normal(shape, self.p_mean, self.p_std, generator=generator)
        t = with_share_at(t, math.inf, self.pure_noise, generator=generator).to(x0.device)
        noise = randn(x0.shape, generator=generator, device=x0.device)

        x, angle = circle(x0, noise, t)
        return edm_weight(angle).flatten() * mean_square(f(x, angle), x0)
