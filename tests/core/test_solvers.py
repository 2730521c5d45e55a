"""Steps of the probability-flow ODE against its closed form for Gaussian data."""

import math
from functools import partial

import pytest
import torch

from vidcm.core.circle import PURE_NOISE, mix
from vidcm.core.gaussian import gaussian_consistency, gaussian_denoiser
from vidcm.core.solvers import euler, heun

STD = 0.5


def double(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("solver", "start", "order"),
    [
        (euler, 1.0, 1),
        (heun, 1.0, 2),
        (euler, PURE_NOISE, 1),
        (heun, PURE_NOISE, 3),
    ],  # 3: pure noise is a symmetry point
)
def test_one_step_error_has_the_right_order(solver, start, order):
    x, angle = double(0.7), double(start)
    denoiser = partial(gaussian_denoiser, std=STD)

    def gap(h):
        y = solver(denoiser, x, angle, angle - h)
        return gaussian_consistency(y, angle - h, STD) - gaussian_consistency(x, angle, STD)

    assert math.log2(abs(gap(0.02) / gap(0.01))) == pytest.approx(order + 1, abs=0.1)


@pytest.mark.parametrize("solver", [euler, heun])
@pytest.mark.parametrize(("angle", "next_angle"), [(PURE_NOISE, 1.5), (PURE_NOISE, 0.0), (1.2, 0.1), (0.01, 0.0)])
def test_a_denoiser_that_never_changes_its_mind_is_followed_exactly(solver, angle, next_angle):
    """One data point: x0 and noise are constant along the path, however long the step."""
    x0, noise, angle, next_angle = double([0.3, -2.0]), double([1.5, 0.2]), double(angle), double(next_angle)
    y = solver(lambda x, angle: x0, mix(x0, noise, angle), angle, next_angle)
    torch.testing.assert_close(y, mix(x0, noise, next_angle), rtol=0, atol=1e-13)


def test_euler_is_ddim_and_euler_in_t():
    x, angle, next_angle = double([0.7, -1.1]), double(1.1), double(0.6)
    x0 = gaussian_denoiser(x, angle, STD)
    y = euler(partial(gaussian_denoiser, std=STD), x, angle, next_angle)
    noise = (x - angle.cos() * x0) / angle.sin()
    torch.testing.assert_close(y, next_angle.cos() * x0 + next_angle.sin() * noise)
    in_t = x / angle.cos() + (next_angle.tan() - angle.tan()) * noise  # EDM's coordinate x0 + t noise
    torch.testing.assert_close(y / next_angle.cos(), in_t)


@pytest.mark.parametrize("solver", [euler, heun])
def test_the_last_step_returns_the_denoised(solver):
    x, angle = torch.randn(2, 3, 1, 2, 2), torch.full((2, 1, 1, 1, 1), 0.4)
    denoiser = partial(gaussian_denoiser, std=STD)
    y = solver(denoiser, x, angle, torch.zeros_like(angle))
    torch.testing.assert_close(y, denoiser(x, angle), rtol=0, atol=0)


@pytest.mark.parametrize("solver", [euler, heun])
def test_each_sample_may_step_between_its_own_angles(solver):
    x = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    angle, next_angle = double([PURE_NOISE, 0.8]).reshape(2, 1, 1, 1, 1), double([0.8, 0.0]).reshape(2, 1, 1, 1, 1)
    denoiser = partial(gaussian_denoiser, std=STD)
    together = solver(denoiser, x, angle, next_angle)
    apart = [solver(denoiser, x[i : i + 1], angle[i : i + 1], next_angle[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(apart), rtol=0, atol=0)
