"""Consistency distillation (arXiv:2303.01469, Algorithm 2): the target lies one teacher step away.

    t_n = n-th of N times of EDM's schedule,  n ~ U{1 .. N - 1}
    L   = d(f(x_{n+1}, t_{n+1}), f_ema(x^_n, t_n))          x^_n = solver(teacher, x_{n+1}, t_{n+1} -> t_n)

Unlike the paper, t_1 is 0, where our f is the identity: the last step of the solver ends at the teacher's x0. The
teacher may be guided, which is what text and class conditions want; the guided flow is then what the student learns.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, angle_of, mix
from vidcm.core.distances import DISTANCES
from vidcm.core.dropout import shared_dropout
from vidcm.core.guidance import UNGUIDED, Interval, check_interval, draw_scale, guided_teacher, told_scale
from vidcm.core.noise import randn
from vidcm.core.solvers import SOLVERS
from vidcm.core.times import consistency_times
from vidcm.losses import Critic, check_adversarial, register


@register("cd")
@dataclass(frozen=True)
class CDLoss:
    times: int = 40  # N: the paper's for ImageNet; few leave the angles between them untrained
    solver: Literal["euler", "heun"] = "heun"
    decay: float = 0.95  # of the average that is the target, per step
    distance: Literal["square", "root", "huber"] = "square"
    guidance: Interval = UNGUIDED  # of the teacher; an interval of scales is told to the student
    adversarial: float = 0.0  # weight of a critic on the teacher's features; 0: none

    def __post_init__(self) -> None:
        check_interval(self.guidance)
        check_adversarial(self.adversarial)
        if self.times < 2:
            raise ValueError(f"times must be at least 2, got {self.times}")

    def target_decay(self, stage: int) -> float:
        return self.decay

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
        times, shape = consistency_times(self.times), (x0.shape[0],) + (1,) * (x0.ndim - 1)
        n = torch.randint(self.times - 1, shape, generator=generator, device=generator.device).cpu()
        angle, earlier = (angle_of(times[i]).to(x0.device) for i in (n + 1, n))
        x = mix(x0, randn(x0.shape, generator=generator, device=x0.device), angle)
        scale = draw_scale(self.guidance, x0, generator)

        with shared_dropout() as again:
            student = told_scale(f, self.guidance, scale)(x, angle)
            with torch.no_grad():
                guide = guided_teacher(teacher, unguided, self.guidance, scale)
                x_earlier = SOLVERS[self.solver](guide, x, angle, earlier)
                with again():
                    goal = told_scale(target, self.guidance, scale)(x_earlier, earlier)
        loss = DISTANCES[self.distance](student, goal)
        return loss if critic is None else loss + critic(student, x0, generator)
