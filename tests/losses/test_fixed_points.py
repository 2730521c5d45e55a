"""For Gaussian data the true consistency function is known: it must be where every objective comes to rest."""

import math

import pytest
import torch

from vidcm import losses
from vidcm.core.circle import cos_sin, mix, velocity_of
from vidcm.core.derivative import discrete, exact
from vidcm.core.distances import mean_square, pseudo_huber, root_mean_square
from vidcm.core.gaussian import gaussian_consistency, gaussian_denoiser
from vidcm.core.parameterisations import DDPM, EDM, CirclePrecond, RectifiedFlow, TrigFlow
from vidcm.core.times import START_ANGLE, bin_probabilities, consistency_times, vp_angles

from .closed_forms import STD, TEACHER, Learnable, call, gaussian_data, seeded

DOUBLE = torch.float64


def test_the_truth_is_the_fixed_point_of_cd():
    """As far as the solver goes in 39 steps: measured -0.0020 with Heun's, 0.026 with Euler's."""
    f, x0 = Learnable(gaussian_consistency), gaussian_data(2000)
    assert abs(f.offset(losses.get("cd")(), x0)) < 0.003
    assert abs(f.offset(losses.get("cd")(solver="euler"), x0)) < 0.04


def test_the_truth_is_the_fixed_point_of_lcm_as_the_skipped_steps_shrink():
    """Measured 0.0079 and 0.0039; DDIM is of order 1."""
    f, x0 = Learnable(gaussian_consistency), gaussian_data(2000)
    coarse, fine = (f.offset(losses.get("lcm")(skip=skip, distance="square"), x0) for skip in (20, 10))
    assert abs(fine) < 0.006
    assert fine / coarse == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("name", "coarse", "fine"), [("ct", {"s1": 20}, {"s1": 150}), ("ict", {"s1": 40}, {"s1": 160})]
)
def test_the_truth_is_the_fixed_point_of_training_from_data_as_the_bins_shrink(name, coarse, fine):
    """x_r lies off the path through x_t, so the fixed point is off by the order of the bins."""
    f, x0 = Learnable(gaussian_consistency), gaussian_data(20_000)
    coarse, fine = (abs(f.offset(losses.get(name)(**fields), x0, stage=8)) for fields in (coarse, fine))
    assert fine < 0.015
    assert fine < 0.5 * coarse


@pytest.mark.parametrize(("name", "tolerance"), [("scd", 1e-4), ("sct", 0.05)])  # sct: three standard errors
def test_the_truth_is_the_fixed_point_of_continuous_consistency(name, tolerance):
    f, loss, x0 = Learnable(gaussian_consistency), losses.get(name)(), gaussian_data(8000)
    assert abs(f.gradient(loss, x0, 0.0)) < tolerance * abs(f.gradient(loss, x0, 0.2))
    assert f.gradient(loss, x0, -0.2) < 0 < f.gradient(loss, x0, 0.2)  # descent leads back to it


def heun_error(times, solver="heun"):
    """Of the consistency function that CD learns, which is the product of the steps that its target takes."""
    loss, seen = losses.get("cd")(times=times, solver=solver), []

    def record(x, angle):
        seen.append((x.double(), angle.double()))
        return x

    call(loss, record, torch.randn(40 * times, 1, 1, 1, 1), teacher=lambda x, a: TEACHER(x.double(), a.double()))
    (x, angle), (earlier_x, _) = seen
    factors = {round(float(a), 9): float(y / z) for a, y, z in zip(angle, earlier_x, x, strict=True)}
    assert len(factors) == times - 1  # every bin was drawn
    learned = math.prod(factors.values())
    return learned / float(gaussian_consistency(torch.ones((), dtype=DOUBLE), angle.max(), STD)) - 1


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_distillation_converges_at_the_order_of_its_solver(solver, order):
    coarse, fine = (abs(heun_error(times, solver)) for times in (41, 81))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


# Tangents


def wavy(x, angle):
    return torch.tanh(1.3 * x + 0.2 * x.flip(1)) * (1 + 0.3 * (3 * angle).sin())


def points(std=1.0):
    x0, noise = (torch.randn(4, 2, 1, 2, 2, generator=seeded(i), dtype=DOUBLE) for i in (0, 1))
    angle = torch.tensor([0.02, 0.4, 1.1, 1.56], dtype=DOUBLE).view(4, 1, 1, 1, 1)
    return mix(std * x0, noise, angle), angle, cos_sin(angle)[0] * noise - cos_sin(angle)[1] * std * x0


@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
def test_the_exact_derivative_agrees_with_finite_differences(std):
    x, angle, dx = points(std)
    torch.testing.assert_close(exact(wavy, x, angle, dx), discrete(wavy, x, angle, dx, 1e-5), rtol=0, atol=1e-8)


def test_the_discrete_derivative_is_of_order_two():
    x, angle, dx = points()
    truth = exact(wavy, x, angle, dx)
    errors = [(discrete(wavy, x, angle, dx, step) - truth).norm() for step in (4e-3, 2e-3)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.01)


def test_the_discrete_derivative_stays_on_the_circle():
    seen = []

    def f(x, angle):
        seen.append(angle)
        return angle * x

    x, angle = torch.ones(2, 1, 1, 1, 1), torch.tensor([0.0, math.pi / 2]).view(2, 1, 1, 1, 1)
    found = discrete(f, x, angle, torch.zeros_like(x))
    torch.testing.assert_close(found, x, rtol=1e-3, atol=0)
    assert min(float(a.min()) for a in seen) == 0
    assert max(float(a.max()) for a in seen) <= torch.tensor(math.pi / 2)


@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
def test_the_true_consistency_function_is_constant_along_the_flow(std):
    x, angle, _ = points(std)
    dx = velocity_of(x, gaussian_denoiser(x, angle, std), angle)
    for derivative in (exact, discrete):
        df = derivative(lambda x, angle: gaussian_consistency(x, angle, std), x, angle, dx)
        torch.testing.assert_close(df, torch.zeros_like(df), rtol=0, atol=1e-12 if derivative is exact else 3e-5)


@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("ramp", [0.0, 0.3, 1.0])
def test_the_tangent_is_the_papers(ramp, std):
    """-cos^2 (F - dx) - r cos sin (x + dF), with F = wavy and dF by finite differences."""
    x, angle, dx = points(std)
    cos, sin = cos_sin(angle)

    def f(x, angle):
        return angle.cos() * x - angle.sin() * wavy(x, angle)

    dF = discrete(wavy, x, angle, dx, 1e-5)
    paper = -(cos**2) * (wavy(x, angle) - dx) - ramp * cos * sin * (x + dF)
    ours = losses.get("sct")().tangent(x, f(x, angle), exact(f, x, angle, dx), dx, angle, ramp)
    torch.testing.assert_close(ours, paper, rtol=0, atol=1e-8)


def test_warm_up_counts_samples_and_the_tangent_is_normalised():
    loss, x0, logged = losses.get("sct")(warmup=1000), gaussian_data(64), {}
    f = Learnable(lambda x, angle, std: wavy(x, angle))
    at = [call(loss, f, x0, samples_seen=seen, log=logged.__setitem__) for seen in (0, 500, 1000, 5000)]
    assert not at[0].allclose(at[1])
    assert not at[1].allclose(at[2])
    assert at[2].equal(at[3])
    size = logged["tangent"]
    torch.testing.assert_close(at[3], (size / (size + 0.1)) ** 2, rtol=1e-3, atol=1e-6)  # ||g||^2 at weight 1


@pytest.mark.parametrize("name", ["sct", "scd"])
def test_the_learned_weight_settles_at_minus_the_logarithm_of_the_error(name):
    loss, x0 = losses.get(name)(), gaussian_data(16)
    f = Learnable(lambda x, angle, std: wavy(x, angle))
    error = call(loss, f, x0).detach()
    w = (-error.log()).requires_grad_()
    weighted = call(loss, f, x0, log_weight=lambda angle: w)
    torch.testing.assert_close(weighted, 1 + error.log(), rtol=1e-4, atol=1e-4)
    gradient = torch.autograd.grad(weighted.sum(), w)[0]
    torch.testing.assert_close(gradient, torch.zeros(16), rtol=0, atol=1e-4)


# The papers' numbers


@pytest.mark.parametrize("stage", range(9))
def test_bin_probabilities_sum_to_one_and_are_the_papers(stage):
    loss = losses.get("ict")()
    shares = loss.probabilities(stage)
    assert len(shares) == loss.times(stage) - 1 == min(10 * 2**stage, 1280)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-12)
    assert (shares > 0).all()
    ramp = torch.linspace(0, 1, len(shares) + 1, dtype=DOUBLE)
    sigma = (0.002 ** (1 / 7) + ramp * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7
    z = (sigma.log() + 1.1) / (math.sqrt(2) * 2.0)
    paper = z[1:].erf() - z[:-1].erf()
    torch.testing.assert_close(bin_probabilities(len(sigma), math.log(2) - 1.1, 2.0), paper / paper.sum())
    torch.testing.assert_close(shares, paper / paper.sum(), rtol=0.05, atol=0)  # p_mean is rounded: 0.007
    torch.testing.assert_close(consistency_times(len(sigma))[1:].double(), 2 * sigma[1:], rtol=1e-6, atol=0)


def test_bins_are_drawn_by_their_probabilities():
    seen = []

    def f(x, angle):
        seen.append(angle)
        return x

    loss = losses.get("ict")()
    call(loss, f, torch.randn(50_000, 1, 1, 1, 1))
    place = torch.searchsorted(consistency_times(11).atan(), seen[0].flatten() - 1e-6) - 1
    drawn = place.bincount(minlength=10) / 50_000
    torch.testing.assert_close(drawn.double(), loss.probabilities(0), rtol=0, atol=0.008)


def test_the_curriculum_of_ct_is_the_papers():
    """N(k) and mu(k) at k / K = 0, 1/2 and 1 for s0 = 2, s1 = 150, mu0 = 0.9, worked out by hand."""
    loss = losses.get("ct")()
    assert [loss.times(stage) for stage in (0, 4, 8, 99)] == [2, 107, 151, 151]
    assert loss.target_decay(0) == pytest.approx(0.9)
    assert loss.target_decay(8) == pytest.approx(math.exp(2 * math.log(0.9) / 151))


def test_the_boundary_scalings_of_lcm_are_the_papers_and_fade_before_the_first_skip():
    loss = losses.get("lcm")()
    step = START_ANGLE / 1000
    n = torch.tensor([0.0, 1.0, 20.0], dtype=DOUBLE)
    c_skip, c_out = loss.scalings(n * step)
    place = 10 * n  # the paper's t s
    torch.testing.assert_close(c_skip, 0.25 / (place**2 + 0.25))
    torch.testing.assert_close(c_out, place / (place**2 + 0.25).sqrt())
    assert (float(c_skip[0]), float(c_out[0])) == (1, 0)
    assert float(c_skip[2]) < 1e-5


def test_pseudo_huber_is_a_square_below_c_and_a_norm_above():
    a, b = torch.zeros(1, 8, dtype=DOUBLE), torch.full((1, 8), 1e-6, dtype=DOUBLE)
    torch.testing.assert_close(pseudo_huber(a, b), mean_square(a, b) / (2 * 0.00054), rtol=1e-4, atol=0)
    torch.testing.assert_close(pseudo_huber(a, 1e6 * b), root_mean_square(a, 1e6 * b) - 0.00054, rtol=1e-5, atol=0)
    d = 8  # as the paper writes it, c = 0.00054 sqrt(d), over sqrt(d)
    paper = (((a - 30 * b) ** 2).sum() + 0.00054**2 * d).sqrt() - 0.00054 * math.sqrt(d)
    torch.testing.assert_close(pseudo_huber(a, 30 * b)[0], paper / math.sqrt(d))


PARAMETERISATIONS = {
    "circle": CirclePrecond(),
    "edm": EDM(),
    "rectified flow": RectifiedFlow(),
    "trigflow": TrigFlow(),
    "ddpm eps": DDPM(vp_angles()),
    "ddpm v, zero terminal SNR": DDPM(vp_angles(zero_terminal_snr=True), "v"),
}


class Native(Learnable):
    """The exact answer as the output of a network that a parameterisation reads, wrong by error times its input."""

    def __init__(self, parameterisation):
        super().__init__(gaussian_consistency)
        self.parameterisation = parameterisation

    def forward(self, x, angle):
        one = torch.ones_like(angle)
        at_zero, at_one = (self.read(lambda y, *_, k=k: k * y)(one, angle) for k in (0.0, 1.0))
        factor = ((self.exact(one, angle, STD) - at_zero) / (at_one - at_zero)).nan_to_num(
            0.0
        )  # at angle 0 none counts
        return self.read(lambda y, *_: (factor + self.error) * y)(x, angle)

    def read(self, network):
        return self.parameterisation.denoiser(network)


@pytest.mark.parametrize("parameterisation", PARAMETERISATIONS.values(), ids=PARAMETERISATIONS)
def test_the_truth_is_the_fixed_point_whatever_the_network_says(parameterisation):
    """Of scd without a remainder, of ECT up to the last gap; and the truth it is, in every parameterisation."""
    f, x0 = Native(parameterisation), gaussian_data(4000)
    angle = torch.tensor([0.2, 0.9, 1.4]).view(3, 1, 1, 1, 1)
    torch.testing.assert_close(f(x0[:3], angle), gaussian_consistency(x0[:3], angle, STD), rtol=1e-4, atol=1e-5)
    scd, ect = losses.get("scd")(), losses.get("ect")()
    assert abs(f.gradient(scd, x0, 0.0)) < 1e-3 * abs(f.gradient(scd, x0, 0.2))
    early, late = (abs(f.offset(ect, x0, stage=stage)) for stage in (1, 7))
    assert late < 0.02
    assert late < 0.2 * early
