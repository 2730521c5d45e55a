"""Consistency sampling anchored at its centre: for latents of which a whole sample costs more than it shows.

    c = f(0, angles[0])                                  where no noise leads: the mean of a Gaussian, near a mode else
    s = f(mix(s, temperature * noise, angle), angle)     for each further angle, from s = c: a sample beside it
    x0 = trust * better(c) + spread * (s - c)

better: puts what is known by other means in place of what f guesses; by default nothing. trust, 0..1: a centre that is
wrong now and then, by a lot, is worth more shrunk. spread, 0..1: of the samples about it; the usual way to a narrower
law, less noise, drops the rare large deviations first, and those are what a sample is for.
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
    better: Callable[[Tensor], Tensor] = lambda centre: centre,
    trust: float = 1.0,
    spread: float = 1.0,
) -> Tensor:
    """like: any tensor of the latents' shape [B, ...]; renoise(i): unit noise like it for angles[i], i >= 1, keyed by
    the caller. angles: falling; a single one gives trust * better(c). temperature scales the noise."""
    nothing = like.new_zeros(like.shape)
    centre = sample = f(nothing, per_sample(angles[0], nothing))
    for i, value in enumerate(angles[1:], start=1):
        angle = per_sample(value, nothing)
        sample = f(mix(sample, temperature * renoise(i), angle), angle)
    return trust * better(centre) + spread * (sample - centre)
