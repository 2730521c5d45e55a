"""Multistep consistency sampling (arXiv:2303.01469, Algorithm 1) on the circle."""

from collections.abc import Callable, Sequence

from torch import Tensor

from vidcm.core.circle import Denoiser, mix, per_sample


def consistency(
    f: Denoiser,
    noise: Tensor,
    *,
    angles: Sequence[float],
    renoise: Callable[[int], Tensor],
    temperature: float = 1.0,
) -> Tensor:
    """x = f(noise); then for each further angle: x = f(x noised again to it). One evaluation of f per angle.

    noise: unit variance, [B, ...]; renoise(i): fresh unit noise like it for angles[i], i >= 1, keyed by the caller.
    angles: falling, the largest first. temperature scales the noise here, everywhere; 0 makes the result a regression.
    """
    x = temperature * noise
    x0 = f(x, per_sample(angles[0], x))
    for i, value in enumerate(angles[1:], start=1):
        angle = per_sample(value, x)
        x0 = f(mix(x0, temperature * renoise(i), angle), angle)
    return x0
