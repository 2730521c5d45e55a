"""Consistency and diffusion steps by turns: each jump to the data is followed by a step along the teacher's flow.

    x_{i+1} = cos x0 + sin noise,  x0 = f(x_i)         even i: a step of multistep consistency sampling
    x_{i+1} = solver(denoiser, x_i)                    odd i

The jumps cross large distances at one evaluation; the steps between them add detail and no noise of their own.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from vidcm.core.circle import Denoiser, mix, per_sample
from vidcm.core.solvers import Solver, euler


def hybrid(
    f: Denoiser,
    denoiser: Denoiser,
    noise: Tensor,
    *,
    angles: Sequence[float],
    renoise: Callable[[int], Tensor],
    solver: Solver = euler,
    temperature: float = 1.0,
) -> Tensor:
    """One step for each angle but the last, which is 0; the first is f's. Evaluations: one a step, two for Heun's.

    noise: unit variance, [B, ...]; renoise(i): fresh unit noise like it for angles[i], i >= 1, keyed by the caller;
    asked for after f's steps alone. temperature scales the noise here, everywhere.
    """
    x = temperature * noise
    for i, (here, there) in enumerate(pairwise(angles)):
        angle, next_angle = per_sample(here, x), per_sample(there, x)
        if i % 2:
            x = solver(denoiser, x, angle, next_angle)
        else:
            x0 = f(x, angle)
            x = mix(x0, temperature * renoise(i + 1), next_angle) if there else x0
    return x
