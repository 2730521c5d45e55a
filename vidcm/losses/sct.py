"""Continuous-time consistency training, sCT (arXiv:2410.11081, Algorithm 1): from data alone.

dx/dangle = cos noise - sin x0                          the tangent's path: of this x0 and noise; see losses/scm.py
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, cos_sin, mix
from vidcm.core.noise import randn
from vidcm.losses import register
from vidcm.losses.scm import ContinuousLoss


@register("sct")
@dataclass(frozen=True)
class SCTLoss(ContinuousLoss):
    def __call__(
        self,
        f: Denoiser,
        x0: Tensor,
        *,
        stage: int,
        generator: torch.Generator,
        derivative: Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor],
        log_weight: Callable[[Tensor], Tensor],
        samples_seen: int,
        log: Callable[[str, Tensor], None],
    ) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B].

        derivative, log_weight, samples_seen, log: see `losses.SUPPLIES`. `stage` changes nothing here.
        """
        angle = self.draw_angle(x0, generator)
        noise = randn(x0.shape, generator=generator, device=x0.device)
        cos, sin = cos_sin(angle)
        x, dx = mix(x0, noise, angle), cos * noise - sin * x0
        return self.along(f, x, angle, dx, derivative, log_weight, samples_seen, log)[0]
