"""One step of the probability-flow ODE on the circle: solver(denoiser, x, angle, next_angle) -> x at next_angle.

    dx/dangle = v(x, angle) = (cos x - x0) / sin,          angle > next_angle >= 0

Both solvers turn x rather than follow the tangent, so they are exact where x0 does not change along the path, finite at
pure noise, and return the denoiser's x0 when next_angle is 0.
"""

from collections.abc import Callable

from torch import Tensor

from vidcm.core.circle import Denoiser

Solver = Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor]


def euler(denoiser: Denoiser, x: Tensor, angle: Tensor, next_angle: Tensor) -> Tensor:
    """Order 1. cos(next) x0 + sin(next) noise, both as of x: this is DDIM (arXiv:2010.02502) and Euler in t."""
    return turn(x, denoiser(x, angle), angle, next_angle)


def heun(denoiser: Denoiser, x: Tensor, angle: Tensor, next_angle: Tensor) -> Tensor:
    """Order 2, two evaluations: Euler, then the change of x0 that the second evaluation shows, spread over the step.

    On the circle x'' + x = g, and g = 0 is Euler's turn by h. A constant g adds (1 - cos h) g to x and sin h g to v:
    what v misses at the end, times tan(h / 2), is what x misses. Unlike EDM's average in t this can start at pi/2.
    """
    x0 = denoiser(x, angle)
    predicted = turn(x, x0, angle, next_angle)
    end = next_angle == 0  # nothing is left to correct: x0 it is
    missed = (x0 - denoiser(predicted, next_angle)) / next_angle.sin().masked_fill(end, 1.0)
    return predicted + (((next_angle - angle) / 2).tan() * missed).masked_fill(end, 0.0)


def turn(x: Tensor, x0: Tensor, angle: Tensor, next_angle: Tensor) -> Tensor:
    """Move x to next_angle along the circle through x0 and the noise that x holds with it; angle > 0."""
    sin = angle.sin()
    return next_angle.sin() / sin * x + (angle - next_angle).sin() / sin * x0


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "ddim": euler}
