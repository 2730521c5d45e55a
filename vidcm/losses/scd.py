"""Continuous-time consistency distillation, sCD (arXiv:2410.11081, Algorithm 1): along the teacher's flow.

    dx/dangle = (cos x - teacher(x, angle)) / sin           the tangent's path; see losses/scm.py

The teacher may be guided; scales drawn from an interval are told to the student.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, mix, velocity_of
from vidcm.core.guidance import UNGUIDED, Interval, check_interval, draw_scale, guided_teacher, told_scale
from vidcm.core.noise import randn
from vidcm.losses import Critic, check_adversarial, register
from vidcm.losses.scm import ContinuousLoss


@register("scd")
@dataclass(frozen=True)
class SCDLoss(ContinuousLoss):
    guidance: Interval = UNGUIDED
    adversarial: float = 0.0  # weight of a critic on the teacher's features; 0: none

    def __post_init__(self) -> None:
        check_interval(self.guidance)
        check_adversarial(self.adversarial)

    def __call__(
        self,
        f: Denoiser,
        x0: Tensor,
        *,
        stage: int,
        generator: torch.Generator,
        teacher: Denoiser,
        unguided: Denoiser | None,
        derivative: Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor],
        log_weight: Callable[[Tensor], Tensor],
        samples_seen: int,
        log: Callable[[str, Tensor], None],
        critic: Critic | None,
    ) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B].

        teacher: the diffusion model; unguided: it without its condition; the rest: see `losses.SUPPLIES`.
        `stage` changes nothing here.
        """
        angle = self.draw_angle(x0, generator)
        x = mix(x0, randn(x0.shape, generator=generator, device=x0.device), angle)
        scale = draw_scale(self.guidance, x0, generator)
        with torch.no_grad():
            guide = guided_teacher(teacher, unguided, self.guidance, scale)
            dx = velocity_of(x, guide(x, angle), angle)
        student = told_scale(f, self.guidance, scale)
        loss, made = self.along(student, x, angle, dx, derivative, log_weight, samples_seen, log)
        return loss if critic is None else loss + critic(made, x0, generator)
