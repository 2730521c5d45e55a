"""Improved consistency training (arXiv:2310.14189, Table 1): no average in the target, robust distance, bins by weight.

    t_n = n-th of N(stage) times of EDM's schedule,  N = min(s0 2^stage, s1) + 1
    p(n) ~ erf((ln t_{n+1} - p_mean) / (sqrt(2) p_std)) - erf((ln t_n - p_mean) / (sqrt(2) p_std))
    L    = d(f(x_{n+1}, t_{n+1}), sg f(x_n, t_n)) / (t_{n+1} - t_n)         d: pseudo-Huber

Unlike the paper, d is divided by sqrt(dimensions), which turns its c = 0.00054 sqrt(dimensions) into 0.00054, and t_1
is 0, where our f is the identity.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser, circle
from vidcm.core.distances import pseudo_huber
from vidcm.core.dropout import shared_dropout
from vidcm.core.noise import randn
from vidcm.core.times import bin_probabilities, consistency_times
from vidcm.losses import register


@register("ict")
@dataclass(frozen=True)
class ICTLoss:
    s0: int = 10  # bins at stage 0, doubled with each
    s1: int = 1280  # largest number of bins
    p_mean: float = -0.4  # of ln t: the paper's -1.1 plus ln 2, for its sigma_data = 0.5
    p_std: float = 2.0
    c: float = 0.00054  # below it the distance is a square, above it a norm

    def __post_init__(self) -> None:
        if not 1 <= self.s0 <= self.s1:
            raise ValueError(f"s0 and s1 must satisfy 1 <= s0 <= s1, got {self.s0} and {self.s1}")

    def times(self, stage: int) -> int:
        """N(k) of the paper, whose stages are ours."""
        return min(self.s0 * 2**stage, self.s1) + 1

    def probabilities(self, stage: int) -> Tensor:
        """Of the bins, rising with t; float64, they sum to 1."""
        return bin_probabilities(self.times(stage), self.p_mean, self.p_std)

    def __call__(self, f: Denoiser, x0: Tensor, *, stage: int, generator: torch.Generator) -> Tensor:
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B]."""
        shape = (x0.shape[0],) + (1,) * (x0.ndim - 1)
        times, shares = consistency_times(self.times(stage)), self.probabilities(stage).to(generator.device)
        n = torch.multinomial(shares, x0.shape[0], replacement=True, generator=generator).reshape(shape).cpu()
        t, r = times[n + 1].to(x0.device), times[n].to(x0.device)
        noise = randn(x0.shape, generator=generator, device=x0.device)

        with shared_dropout() as again:
            student = f(*circle(x0, noise, t))
            with torch.no_grad(), again():
                target = f(*circle(x0, noise, r))
        return pseudo_huber(student, target, self.c) / (t - r).flatten()
