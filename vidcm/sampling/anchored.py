"""Consistency sampling anchored at the mean: for latents of which a sample costs more than it shows.

    m = f(0, angles[0])                                  without noise: what the model expects
    s = f(mix(s, temperature * noise, angle), angle)     for each further angle, from s = m: a sample beside it
    x0 = trust * m + spread * (s - m)

trust, 0..1: a mean that is wrong now and then, by a lot, is worth more shrunk. spread, 0..1: of the samples about it;
the usual way to a narrower law, less noise, drops the rare large deviations first, and those are what a sample is for.
One evaluation of f per angle, as in `vidcm.sampling.consistency`.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from vidcm.core.circle import Denoiser, mix, per_sample


def anchored(
    f: Denoiser,
    like: Tensor,
    *,
    angles: Sequence[float],
    renoise: Callable[[int], Tensor],
    temperature: float = 1.0,
    trust: float = 1.0,
    spread: float = 1.0,
) -> Tensor:
    """like: any tensor of the latents' shape [B, ...]; renoise(i): unit noise like it for angles[i], i >= 1, keyed by
    the caller. angles: falling; a single one gives the mean. temperature scales the noise."""
    nothing = like.new_zeros(like.shape)
    mean = sample = f(nothing, per_sample(angles[0], nothing))
    for i, value in enumerate(angles[1:], start=1):
        angle = per_sample(value, nothing)
        sample = f(mix(sample, temperature * renoise(i), angle), angle)
    return trust * mean + spread * (sample - mean)
