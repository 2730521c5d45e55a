"""Gaussian data of a standard deviation other than 1, and what objectives ask for where nothing is trained."""

from functools import partial

import torch

from vidcm import losses
from vidcm.core.circle import cos_sin
from vidcm.core.derivative import exact
from vidcm.core.gaussian import gaussian_denoiser

STD = 0.5
TEACHER = partial(gaussian_denoiser, std=STD)
FOREVER = 10**9  # samples: every warm-up is over


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian_data(count):
    return STD * torch.randn(count, 2, 1, 4, 4, generator=seeded(1))


def call(loss, f, x0, *, stage=0, seed=0, **given):
    """The loss [B], with what it asks for: the exact teacher, f itself as its target, weight 1; `given` overrides."""
    known = {
        "teacher": TEACHER,
        "unguided": None,
        "critic": None,
        "target": f,
        "derivative": exact,
        "log_weight": lambda angle: torch.zeros(len(angle)),
        "samples_seen": FOREVER,
        "log": lambda name, values: None,
        **given,
    }
    asked = {name: known[name] for name in losses.asked_by(loss)}
    return loss(f, x0, stage=stage, generator=seeded(seed), **asked)


class Learnable(torch.nn.Module):
    """The exact answer plus error * c_out * x: a wrong scale that vanishes at angle 0, as any network's error does."""

    def __init__(self, exact):
        super().__init__()
        self.exact = exact
        self.error = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, angle):
        return self.exact(x, angle, STD) + self.error * cos_sin(angle)[1] * x

    def gradient(self, loss, x0, error, stage=0):
        """Of the mean loss by the error, where the error stands at this value; the same draws every time."""
        self.error.data.fill_(error)
        mean = call(loss, self, x0, stage=stage, seed=2).mean()
        return float(torch.autograd.grad(mean, self.error)[0])

    def offset(self, loss, x0, stage=0, reach=0.05):
        """How far from 0 the error would settle, if the gradient were linear: in units of the error."""
        at_zero = self.gradient(loss, x0, 0.0, stage)
        return at_zero * reach / (self.gradient(loss, x0, reach, stage) - at_zero)
