"""What every objective owes to training. A new file in vidcm/losses is tested here the day it appears."""

import math
from functools import partial

import pytest
import torch

from vidcm import losses
from vidcm.core.errors import UserError
from vidcm.core.gaussian import gaussian_consistency, gaussian_denoiser, scale
from vidcm.core.times import START_ANGLE, T_MAX

from .closed_forms import STD, Learnable, call, gaussian_data, seeded


@pytest.mark.parametrize("name", losses.available())
def test_same_generator_same_loss_and_one_number_per_sample(name):
    x0 = torch.randn(3, 4, 5, 6, 7)
    loss = losses.get(name)()
    first, second, other = (call(loss, lambda x, angle: 0.3 * x, x0, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (3,)
    assert first.dtype == torch.float32
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not first.equal(other)


@pytest.mark.parametrize("name", losses.available())
def test_the_loss_of_a_sample_does_not_depend_on_its_neighbours(name):
    """The same draws, other data in the other samples."""
    x0 = torch.randn(3, 2, 2, 4, 4)
    changed = torch.cat([x0[:1], torch.randn(2, 2, 2, 4, 4)])
    f = partial(gaussian_denoiser, std=STD)
    a, b = (call(losses.get(name)(), f, data, stage=1) for data in (x0, changed))
    torch.testing.assert_close(a[0], b[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", losses.available())
@pytest.mark.parametrize("stage", [0, 7])
def test_losses_and_gradients_are_finite_from_the_smallest_to_the_largest_t(name, stage):
    f = Learnable(gaussian_denoiser)
    loss = call(losses.get(name)(), f, gaussian_data(4096), stage=stage)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert f.error.grad.isfinite()


def test_an_unknown_objective_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'etc'.*diffusion.*ect"):
        losses.get("etc")


def test_an_objective_can_ask_only_for_what_there_is():
    class Greedy:
        def __call__(self, f, x0, *, stage, generator, oracle):
            pass

    with pytest.raises(ValueError, match=r"asks for \['oracle'\], training supplies \['critic', 'derivative', 'log', "):
        losses.register("greedy")(Greedy)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ect", {"q": 1.0}),
        ("ect", {"centre": 1.0}),
        ("ct", {"s0": 1}),
        ("ct", {"stages": 0}),
        ("ict", {"s0": 2000}),
        ("cd", {"times": 1}),
        ("cd", {"guidance": (3.0, 2.0)}),
        ("lcm", {"skip": 0}),
        ("lcm", {"guidance": (3.0, 2.0)}),
        ("scd", {"guidance": (3.0, 2.0)}),
    ],
)
def test_settings_without_a_meaning_are_refused(name, fields):
    with pytest.raises(ValueError, match=r"must .*got"):
        losses.get(name)(**fields)


def test_one_name_means_one_objective():
    with pytest.raises(ValueError, match=r"'ect'.*vidcm\.losses\.ect"):
        losses.register("ect")(type("Other", (), {}))


# Diffusion


def test_the_posterior_mean_is_the_minimum_of_diffusion():
    """The loss is a parabola in the error, its curvature 2 E[x^2] since the weight undoes c_out^2, its minimum at 0."""
    f, loss, x0 = Learnable(gaussian_denoiser), losses.get("diffusion")(pure_noise=0.0), gaussian_data(20_000)
    minimum = f.gradient(loss, x0, 0.0)
    curvature = (f.gradient(loss, x0, 0.5) - minimum) / 0.5
    z = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    variance = scale((loss.p_mean + loss.p_std * z).exp().atan(), STD) ** 2
    assert curvature == pytest.approx(2 * float(variance @ (-(z**2) / 2).softmax(0)), rel=0.01)
    assert minimum / curvature == pytest.approx(0, abs=0.004)  # three standard errors


def test_diffusion_of_the_closed_form_is_its_posterior_variance():
    """E L = E_t lambda(t) Var[x0 | x_t], by numerical integration over ln t."""
    loss = losses.get("diffusion")(pure_noise=0.0)
    f = partial(gaussian_denoiser, std=STD)
    measured = loss(f, gaussian_data(40_000), stage=0, generator=seeded(3)).mean()
    z = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    t = (loss.p_mean + loss.p_std * z).exp()
    expected = ((1 + t**-2) * STD**2 * t**2 / (STD**2 + t**2)) @ (-(z**2) / 2).softmax(0)
    assert float(measured) == pytest.approx(float(expected), rel=0.01)


def test_diffusion_trains_pure_noise_by_the_share_asked_for():
    seen = []

    def f(x, angle):
        seen.append(angle.flatten())
        return x

    losses.get("diffusion")(pure_noise=0.25)(f, torch.randn(4000, 1, 1, 1, 1), stage=0, generator=seeded())
    assert float((seen[0] == torch.tensor(math.pi / 2)).float().mean()) == pytest.approx(0.25, abs=0.03)


# ECT


@pytest.mark.parametrize("stage", range(12))
def test_r_lies_below_t_at_every_stage_and_tightens(stage):
    loss = losses.get("ect")()
    t = torch.logspace(-5, math.log10(T_MAX), 500)
    r, tighter = loss.r_of_t(t, stage), loss.r_of_t(t, stage + 1)
    assert (r >= 0).all()
    assert (r < t).all()
    assert (tighter >= r).all()
    gap = ((1 - r.double() / t) * 2 ** (stage + 1))[r > 0]  # rounding of r is 2^stage times as large here
    expected = (1 + 8 * torch.sigmoid(-0.5 * t.double()))[r > 0]
    torch.testing.assert_close(gap, expected, rtol=0, atol=2 ** (stage + 1) * 1e-6)


def test_r_of_t_is_the_papers_mapping_in_the_papers_units():
    """There sigma_data is 0.5, so sigma is t / 2, and q = 2, k = 8, b = 1."""
    sigma = torch.tensor([1.0, 2.0, 10.0, 80.0])
    paper = sigma * (1 - (1 + 8 * torch.sigmoid(-sigma)) / 2**4)
    torch.testing.assert_close(losses.get("ect")().r_of_t(2 * sigma, stage=3), 2 * paper)


def test_early_stages_are_anchored_in_the_data():
    loss = losses.get("ect")()
    assert loss.r_of_t(torch.tensor([1e-3, 0.1, 0.5]), 0).equal(torch.zeros(3))
    assert loss.r_of_t(torch.tensor(T_MAX), 0) == T_MAX / 2


def fixed_point_of_ect(stage):
    """The error at which ECT stops pushing, by the secant method."""
    f, loss, x0 = Learnable(gaussian_consistency), losses.get("ect")(), gaussian_data(20_000)
    a, b = -0.05, 0.05
    for _ in range(6):
        at_a, at_b = (f.gradient(loss, x0, error, stage) for error in (a, b))
        if abs(b - a) < 1e-5:
            break
        a, b = b, b - at_b * (b - a) / (at_b - at_a)
    return b


def test_the_flow_map_is_the_fixed_point_of_ect_as_the_gap_closes():
    """x_r lies off the path through x_t, so the fixed point is off by the order of the gap, and halves with it."""
    errors = [fixed_point_of_ect(stage) for stage in (3, 4, 5)]
    assert abs(errors[2]) < 0.01
    assert 0.3 < errors[1] / errors[0] < 0.6
    assert 0.2 < errors[2] / errors[1] < 0.6  # standard error of each 0.001


def test_ect_is_the_papers_formula():
    """Written out once more, sample by sample, from the times and noise that f was shown."""
    seen = []

    def f(x, angle):
        seen.append((x, angle))
        return torch.tanh(x) * angle.cos()

    x0 = torch.randn(6, 2, 1, 3, 3, generator=seeded(5))
    got = losses.get("ect")()(f, x0, stage=2, generator=seeded())
    (x_t, angle_t), (x_r, angle_r) = seen
    t, r = angle_t.tan(), angle_r.tan()
    noise = x_t / angle_t.sin() - x0 / t
    torch.testing.assert_close(x_r, angle_r.cos() * x0 + angle_r.sin() * noise, rtol=0, atol=1e-4)
    for i in range(6):
        distance = ((x_t[i].tanh() * angle_t[i].cos() - x_r[i].tanh() * angle_r[i].cos()) ** 2).mean().sqrt()
        torch.testing.assert_close(got[i], distance / (t - r)[i].squeeze(), rtol=1e-3, atol=0)


def test_ect_never_looks_beyond_where_samplers_start():
    loss = losses.get("ect")(p_mean=5.0)
    t = loss.draw_t((1000, 1), seeded())
    assert float(t.max()) == T_MAX
    assert float((t == T_MAX).float().mean()) == pytest.approx(0.485, abs=0.05)


def test_a_share_of_ect_learns_the_mean_and_the_rest_what_it_always_did():
    """The network tells where it was asked."""
    asked = []

    def f(x, angle):
        asked.append((x, angle))
        return 0.3 * x + 0.1

    x0 = torch.randn(4000, 2, 1, 2, 2, generator=seeded(1))
    mixed = call(losses.get("ect")(centre=0.25), f, x0, stage=1)
    (x, angle), *_ = asked
    at_centre = (x == 0).all(dim=(1, 2, 3, 4))
    assert at_centre.float().mean().item() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(angle[at_centre].unique(), torch.tensor([START_ANGLE]))
    torch.testing.assert_close(mixed[at_centre], (0.1 - x0[at_centre]).square().mean(dim=(1, 2, 3, 4)))
    plain = call(losses.get("ect")(), f, x0, stage=1)
    torch.testing.assert_close(mixed[~at_centre], plain[~at_centre], rtol=0, atol=0)
