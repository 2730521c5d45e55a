"""Latent consistency distillation (arXiv:2310.04378, Algorithm 1): skip k of N small steps with one guided DDIM step.

    L = d(f(x_t, t, w), f_ema(x^_r, r, w))          r = t - k steps,  x^_r = DDIM(teacher guided by w, x_t, t -> r)
    f = c_skip x + c_out denoiser,   c_skip = 1 / ((s n)^2 + 1),  c_out = s n / sqrt((s n)^2 + 1)    at step n

The steps are even in angle, which is the cosine schedule of diffusion. The scale w of guidance is drawn from an
interval and told to the student, or fixed; ours is the paper's plus 1.
Unlike the paper, steps that k carries below 0 end at 0, where f is the identity: every target is trained or exact. The
boundary scalings hold in training alone: where a sampler steps they are (0, 1) to a part in 10^5.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, mix
from vidcm.core.distances import DISTANCES
from vidcm.core.dropout import shared_dropout
from vidcm.core.guidance import UNGUIDED, Interval, check_interval, draw_scale, guided_teacher, told_scale
from vidcm.core.noise import randn
from vidcm.core.solvers import euler
from vidcm.core.times import START_ANGLE
from vidcm.losses import Critic, check_adversarial, register


@register("lcm")
@dataclass(frozen=True)
class LCMLoss:
    steps: int = 1000  # N
    skip: int = 20  # k
    boundary: float = 20.0  # s, the paper's 10 over its sigma_data = 0.5; 0 leaves f as the family made it
    decay: float = 0.95  # of the average that is the target, per step
    distance: Literal["square", "root", "huber"] = "huber"
    guidance: Interval = UNGUIDED  # [3, 15] in the paper
    adversarial: float = 0.0  # weight of a critic on the teacher's features; 0: none

    def __post_init__(self) -> None:
        check_interval(self.guidance)
        check_adversarial(self.adversarial)
        if not 1 <= self.skip <= self.steps:
            raise ValueError(f"skip must lie between 1 and steps = {self.steps}, got {self.skip}")

    def target_decay(self, stage: int) -> float:
        return self.decay

    def scalings(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """(c_skip, c_out) at angle [B, 1, ...]; exactly (1, 0) at 0."""
        place = self.boundary * self.steps / START_ANGLE * angle
        return 1 / (place**2 + 1), place / (place**2 + 1).sqrt()

    def bounded(self, f: Denoiser) -> Denoiser:
        if self.boundary == 0:
            return f

        def scaled(x: Tensor, angle: Tensor) -> Tensor:
            c_skip, c_out = self.scalings(angle)
            return c_skip * x + c_out * f(x, angle)

        return scaled

    def pairs(self, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(angle, earlier angle), float32 on the CPU: n ~ U{1 .. N} and max(0, n - k) steps of the way to the start."""
        n = torch.randint(1, self.steps + 1, shape, generator=generator, device=generator.device).cpu()
        size = START_ANGLE / self.steps
        return n * size, (n - self.skip).clamp(min=0) * size

    def __call__(
        self,
        f: Denoiser,
        x0: Tensor,
        *,
        stage: int,
        generator: torch.Generator,
        teacher: Denoiser,
        unguided: Denoiser | None,
        target: Denoiser,
        critic: Critic | None,
    ) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B].

        teacher: the diffusion model; unguided: it without its condition; target: the running average of f; critic: see
        `losses.SUPPLIES`. `stage` changes nothing here.
        """
        shape = (x0.shape[0],) + (1,) * (x0.ndim - 1)
        angle, earlier = (a.to(x0.device) for a in self.pairs(shape, generator))
        x = mix(x0, randn(x0.shape, generator=generator, device=x0.device), angle)
        scale = draw_scale(self.guidance, x0, generator)

        with shared_dropout() as again:
            student = self.bounded(told_scale(f, self.guidance, scale))(x, angle)
            with torch.no_grad():
                guide = guided_teacher(teacher, unguided, self.guidance, scale)
                x_earlier = euler(guide, x, angle, earlier)
                with again():
                    goal = self.bounded(told_scale(target, self.guidance, scale))(x_earlier, earlier)
        loss = DISTANCES[self.distance](student, goal)
        return loss if critic is None else loss + critic(student, x0, generator)
