"""Samplers against the closed form for Gaussian data."""

import math
from functools import partial

import pytest
import torch

from vidcm.core.circle import PURE_NOISE, noise_of, velocity_of
from vidcm.core.gaussian import gaussian_consistency, gaussian_denoiser, scale
from vidcm.core.guidance import guided
from vidcm.core.solvers import SOLVERS, euler, heun
from vidcm.core.times import START_ANGLE, edm_angles, flow_angles, uniform_angles
from vidcm.sampling.anchored import anchored
from vidcm.sampling.consistency import consistency
from vidcm.sampling.hybrid import hybrid
from vidcm.sampling.ode import ode

STD = 0.5
F = partial(gaussian_consistency, std=STD)
DENOISER = partial(gaussian_denoiser, std=STD)


def noise(seed=0, count=2):
    return torch.randn(count, 2, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unused(index):
    raise AssertionError("one step adds no noise again")


@pytest.mark.parametrize("start", [START_ANGLE, PURE_NOISE])
def test_one_step_is_the_consistency_map_of_the_noise(start):
    z = noise()
    x0 = consistency(F, z, angles=[start], renoise=unused)
    torch.testing.assert_close(x0, z * STD, rtol=1e-4, atol=0)  # a start of atan(160) leaves cos^2 = 4e-5


def test_further_steps_mix_the_keyed_noise_in_at_their_angles():
    z, first, second = noise(0), noise(1), noise(2)
    asked = []

    def renoise(index):
        asked.append(index)
        return (first, second)[index - 1]

    x0 = consistency(F, z, angles=[PURE_NOISE, 1.0, 0.4], renoise=renoise, temperature=0.7)
    expected = 0.7 * z * STD
    for angle, fresh in ((1.0, first), (0.4, second)):
        x = math.cos(angle) * expected + math.sin(angle) * 0.7 * fresh
        expected = x * STD / math.hypot(math.cos(angle) * STD, math.sin(angle))
    torch.testing.assert_close(x0, expected)
    assert asked == [1, 2]


def test_an_anchored_sample_is_part_of_the_mean_and_part_of_the_way_to_a_sample():
    """For x0 ~ N(mean, STD^2), where every step is known."""
    mean, n = noise(3), noise(1)

    def f(x, angle):
        return mean + gaussian_consistency(x - angle.cos() * mean, angle, std=STD)

    settings = {"temperature": 1.5, "trust": 0.6, "spread": 0.2}
    x0 = anchored(f, mean, angles=[PURE_NOISE, 1.2], renoise={1: n}.__getitem__, **settings)
    sample = 1.5 * math.sin(1.2) * n * STD / math.hypot(math.cos(1.2) * STD, math.sin(1.2))
    torch.testing.assert_close(x0, 0.6 * mean + 0.2 * sample)
    torch.testing.assert_close(anchored(f, mean, angles=[PURE_NOISE], renoise=unused, **settings), 0.6 * mean)
    known = {"better": lambda centre: torch.cat((noise(5)[:, :2], centre[:, 2:]), dim=1)}
    told = anchored(f, mean, angles=[PURE_NOISE, 1.2], renoise={1: n}.__getitem__, **known, **settings)
    torch.testing.assert_close(told[:, 2:], x0[:, 2:])
    torch.testing.assert_close(told[:, :2], 0.6 * noise(5)[:, :2] + 0.2 * sample[:, :2])


def test_with_full_trust_and_spread_it_is_plain_sampling_that_starts_without_noise():
    draws = {1: noise(1), 2: noise(2)}.__getitem__
    settings = {"angles": [PURE_NOISE, 1.0, 0.4], "renoise": draws, "temperature": 0.7}
    torch.testing.assert_close(anchored(F, noise(), **settings), consistency(F, torch.zeros_like(noise()), **settings))


def test_two_steps_keep_the_distribution_of_the_data():
    z, fresh = noise(0, 2000), noise(1, 2000)
    x0 = consistency(F, z, angles=[PURE_NOISE, 0.8], renoise=lambda index: fresh)
    assert float(x0.std()) == pytest.approx(STD, rel=0.01)  # standard error 0.002


@pytest.mark.parametrize("steps", range(1, 9))
def test_up_to_eight_consistency_steps_keep_the_distribution_of_the_data(steps):
    z = noise(0, 1000)
    x0 = consistency(F, z, angles=uniform_angles(steps)[:-1], renoise=lambda index: noise(index, 1000))
    assert float(x0.std()) == pytest.approx(STD, rel=0.015)  # standard error 0.003
    assert float(x0.mean()) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("steps", range(1, 9))
def test_hybrid_steps_keep_the_distribution_of_the_data(steps):
    """f first and by turns; the diffusion steps, exact here, add no noise of their own."""
    z, asked = noise(0, 1000), []

    def renoise(index):
        asked.append(index)
        return noise(index, 1000)

    def exact(denoiser, x, angle, next_angle):
        return x * scale(next_angle, STD) / scale(angle, STD)

    x0 = hybrid(F, DENOISER, z, angles=uniform_angles(steps), renoise=renoise, solver=exact)
    assert float(x0.std()) == pytest.approx(STD, rel=0.015)
    assert asked == list(range(1, steps, 2))


def test_the_first_steps_of_the_hybrid_are_a_consistency_step_and_a_diffusion_step():
    z, fresh = noise(0), noise(1)
    angles = [PURE_NOISE, 1.0, 0.0]
    x0 = hybrid(F, DENOISER, z, angles=angles, renoise=lambda index: fresh, temperature=0.7)
    x = math.cos(1.0) * 0.7 * z * STD + math.sin(1.0) * 0.7 * fresh
    torch.testing.assert_close(x0, DENOISER(x, torch.tensor(1.0, dtype=torch.float64)), rtol=1e-6, atol=1e-6)


def test_ddim_is_the_papers_step():
    """arXiv:2010.02502, eq. 12 at eta = 0, in alpha_bar."""
    z, angle, earlier = noise(), torch.tensor(1.2).double(), torch.tensor(0.7).double()
    alpha, previous = angle.cos() ** 2, earlier.cos() ** 2
    eps = (z - alpha.sqrt() * DENOISER(z, angle)) / (1 - alpha).sqrt()
    x0 = (z - (1 - alpha).sqrt() * eps) / alpha.sqrt()
    expected = previous.sqrt() * x0 + (1 - previous).sqrt() * eps
    torch.testing.assert_close(SOLVERS["ddim"](DENOISER, z, angle, earlier), expected)


def test_guidance_of_x0_is_guidance_of_noise_and_of_velocity():
    z, angle = noise(), torch.tensor(1.2).double()

    def without(x, angle):
        return 0.3 * x

    x0 = guided(DENOISER, without, 3.0)(z, angle)
    for reading in (noise_of, velocity_of):
        a, b = (reading(z, denoiser(z, angle), angle) for denoiser in (DENOISER, without))
        torch.testing.assert_close(reading(z, x0, angle), b + 3.0 * (a - b))
    assert guided(DENOISER, without, 1.0)(z, angle).allclose(DENOISER(z, angle))


def test_temperature_zero_makes_a_regression_of_every_sampler():
    calm = partial(consistency, F, angles=[START_ANGLE, 0.8], renoise=lambda index: noise(5), temperature=0.0)
    assert calm(noise(0)).equal(calm(noise(1)))
    assert not ode(DENOISER, noise(0), edm_angles(4), temperature=0.0).any()


@pytest.mark.parametrize("schedule", [edm_angles, uniform_angles, partial(flow_angles, shift=3.0)])
@pytest.mark.parametrize("solver", [euler, heun])
def test_the_teacher_converges_to_the_consistency_map(solver, schedule):
    z, angles = noise(), schedule(300)
    exact = F(z, torch.tensor(angles[0], dtype=torch.float64))
    worst = {euler: 0.04, heun: 1e-3}[solver]  # of values up to 2
    torch.testing.assert_close(ode(DENOISER, z, angles, solver), exact, rtol=0, atol=worst)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2)])
def test_the_teachers_error_falls_with_the_order_of_its_solver(solver, order):
    """Down to angle 0.2, away from the end, where the last step is Euler's for both."""
    z, start, end = noise(), 1.5, 0.2
    first = torch.tensor(start, dtype=torch.float64)
    last = torch.tensor(end, dtype=torch.float64)
    exact = z * scale(last, STD) / scale(first, STD)

    def error(steps):
        angles = [start + (end - start) * i / steps for i in range(steps + 1)]
        return float((ode(DENOISER, z, angles, solver) - exact).norm())

    assert math.log2(error(40) / error(80)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(
    "sample",
    [
        lambda f, z: consistency(f, z, angles=[1.5], renoise=unused),
        lambda f, z: ode(f, z, uniform_angles(2)),
        lambda f, z: hybrid(f, f, z, angles=uniform_angles(3), renoise=lambda index: z),
    ],
)
def test_models_see_one_float32_angle_per_sample(sample):
    seen = []

    def f(x, angle):
        seen.append(angle)
        return x

    sample(f, torch.randn(3, 2, 1, 2, 2))
    assert {(angle.shape, angle.dtype) for angle in seen} == {((3, 1, 1, 1, 1), torch.float32)}
