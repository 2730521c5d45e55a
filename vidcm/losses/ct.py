"""Consistency training from data alone (arXiv:2303.01469, Algorithm 3).

    t_n = n-th of N(stage) times of EDM's schedule,  n ~ U{1 .. N - 1}
    L   = d(f(x_{n+1}, t_{n+1}), f_ema(x_n, t_n))           x_{n+1}, x_n: the same x0 and noise; d: squared error

N rises from s0 to s1 + 1 and the target's decay with it; the paper's schedules are walked in `stages` steps.
Unlike the paper, t_1 is 0, where our f is the identity. A perceptual distance has no place among latents.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, circle
from vidcm.core.distances import DISTANCES
from vidcm.core.dropout import shared_dropout
from vidcm.core.noise import randn
from vidcm.core.times import consistency_times
from vidcm.losses import register


@register("ct")
@dataclass(frozen=True)
class CTLoss:
    s0: int = 2  # times at the start
    s1: int = 150  # times, less one, at the end
    mu0: float = 0.9  # decay of the target at the start
    stages: int = 8  # the stage at which the end is reached
    distance: Literal["square", "root", "huber"] = "square"

    def __post_init__(self) -> None:
        if not 2 <= self.s0 <= self.s1:
            raise ValueError(f"s0 and s1 must satisfy 2 <= s0 <= s1, got {self.s0} and {self.s1}")
        if self.stages < 1:
            raise ValueError(f"stages must be at least 1, got {self.stages}")

    def times(self, stage: int) -> int:
        """N(k) of the paper, with k / K = stage / stages."""
        progress = min(stage / self.stages, 1.0)
        return math.ceil(math.sqrt(progress * ((self.s1 + 1) ** 2 - self.s0**2) + self.s0**2) - 1) + 1

    def target_decay(self, stage: int) -> float:
        """mu(k) of the paper."""
        return math.exp(self.s0 * math.log(self.mu0) / self.times(stage))

    def __call__(self, f: Denoiser, x0: Tensor, *, stage: int, generator: torch.Generator, target: Denoiser) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B].

        target: the running average of f.
        """
        times, shape = consistency_times(self.times(stage)), (x0.shape[0],) + (1,) * (x0.ndim - 1)
        n = torch.randint(len(times) - 1, shape, generator=generator, device=generator.device).cpu()
        t, r = times[n + 1].to(x0.device), times[n].to(x0.device)
        noise = randn(x0.shape, generator=generator, device=x0.device)

        with shared_dropout() as again:
            student = f(*circle(x0, noise, t))
            with torch.no_grad(), again():
                goal = target(*circle(x0, noise, r))
        return DISTANCES[self.distance](student, goal)
