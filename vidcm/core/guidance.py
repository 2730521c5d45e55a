"""Classifier-free guidance (arXiv:2207.12598): away from what a model says without its condition.

    x0 = unconditional + scale (conditional - unconditional)           1: no guidance; 1 + w in the papers' w

At one x and angle, x0, noise and velocity are affine in each other, so guiding any of them is guiding all.
A scale is drawn per sample from an interval (low, high) and told to the network, or fixed where low == high.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser

Interval = tuple[float, float]
UNGUIDED: Interval = (1.0, 1.0)


def guided(conditional: Denoiser, unconditional: Denoiser, scale: Tensor | float) -> Denoiser:
    """scale: one for all, or [B, 1, ...]."""

    def denoise(x: Tensor, angle: Tensor) -> Tensor:
        without = unconditional(x, angle)
        return without + scale * (conditional(x, angle) - without)

    return denoise


def guided_in_two(
    conditional: Denoiser, unconditional: Denoiser, scales: tuple[float, float], level: float
) -> Denoiser:
    """The first scale from the noise level s = sin / (cos + sin) on, the second below it; all samples at one angle."""
    noisy, clean = (conditional if scale == 1 else guided(conditional, unconditional, scale) for scale in scales)

    def denoise(x: Tensor, angle: Tensor) -> Tensor:
        s = angle.sin() / (angle.cos() + angle.sin())
        return (noisy if s.min() >= level else clean)(x, angle)

    return denoise


def is_embedded(interval: Interval) -> bool:
    """Whether scales differ between samples, so that the student must be told them."""
    return interval[0] < interval[1]


def draw_scale(interval: Interval, like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform in the interval, [B, 1, ...] on the device of `like` [B, ...]; draws nothing where it is one point."""
    shape = (like.shape[0],) + (1,) * (like.ndim - 1)
    if not is_embedded(interval):
        return torch.full(shape, interval[0], device=like.device)
    low, high = interval
    return (low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)).to(like.device)


def guided_teacher(teacher: Denoiser, unguided: Denoiser | None, interval: Interval, scale: Tensor) -> Denoiser:
    """The teacher itself where the interval is 1; else guided by the teacher without its condition, which must be."""
    if interval == UNGUIDED:
        return teacher
    if unguided is None:
        raise ValueError(f"guidance in {interval} needs a teacher without its condition; (1, 1) is no guidance")
    return guided(teacher, unguided, scale)


def told_scale(f: Callable[..., Tensor], interval: Interval, scale: Tensor) -> Denoiser:
    """f told the scale of each sample, as `guidance` [B]; f itself where all have the same."""
    if not is_embedded(interval):
        return f
    return lambda x, angle: f(x, angle, guidance=scale.flatten())


def check_interval(interval: Interval) -> None:
    """Raises ValueError for an interval that is none."""
    if not interval[0] <= interval[1]:
        raise ValueError(f"guidance must be [lowest, highest], got {list(interval)}")
