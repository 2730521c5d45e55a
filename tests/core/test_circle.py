"""The circle coordinate, and networks of every parameterisation seen through it."""

import math
from itertools import pairwise

import pytest
import torch

from vidcm.core.circle import PURE_NOISE, angle_of, circle, mix, noise_of, t_of, velocity_of
from vidcm.core.parameterisations import DDPM, EDM, CirclePrecond, RectifiedFlow, TrigFlow
from vidcm.core.times import vp_angles

DOUBLE = torch.float64
ANGLES = [1e-3, 0.1, 0.7, 1.3, math.atan(160)]


def points(seed=0, dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(3, 4, 2, 2, 2, generator=generator, dtype=dtype) for _ in range(2))


def column(value, dtype=DOUBLE):
    return torch.full((3, 1, 1, 1, 1), value, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_angle_and_t_are_inverse_and_pure_noise_is_legal(dtype):
    t = torch.tensor([0.0, 1e-3, 1.0, 160.0, math.inf], dtype=dtype)
    torch.testing.assert_close(t_of(angle_of(t)), t, rtol=1e-4 if dtype == torch.float32 else 1e-12, atol=0)
    assert angle_of(t)[-1] == torch.tensor(PURE_NOISE, dtype=dtype)
    assert angle_of(t)[0] == 0


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_the_ends_of_the_circle_are_exactly_data_and_noise(dtype):
    x0, noise = points(dtype=dtype)
    assert mix(x0, noise, column(0.0, dtype)).equal(x0)
    assert mix(x0, noise, column(PURE_NOISE, dtype)).equal(noise)
    assert circle(x0, noise, column(math.inf, dtype))[0].equal(noise)


@pytest.mark.parametrize("angle", [*ANGLES, PURE_NOISE])
def test_noise_and_velocity_are_recovered_from_x_and_x0(angle):
    x0, noise = points()
    angle = column(angle)
    x = mix(x0, noise, angle)
    torch.testing.assert_close(noise_of(x, x0, angle), noise, rtol=0, atol=1e-11)  # rounding over sin(1e-3)
    velocity = angle.cos() * noise - angle.sin() * x0
    torch.testing.assert_close(velocity_of(x, x0, angle), velocity, rtol=0, atol=1e-11)


def network(x, time, **condition):
    """Anything nonlinear that looks at both arguments."""
    time = time.reshape(-1, 1, 1, 1, 1)
    return torch.tanh(1.3 * x + 0.2 * x.flip(1)) * (1 + 0.3 * torch.sin(time)) + condition.get("shift", 0.0)


def edm_native(y, sigma, sigma_data):
    """D(y; sigma) as EDM's Table 1 writes it, in EDM's own coordinates."""
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * y + c_out * network(c_in * y, sigma.log().flatten() / 4)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_edm_gives_the_same_x0_on_the_circle_as_natively(angle, sigma_data):
    x0, noise = points()
    sigma = sigma_data * column(angle).tan()
    native = edm_native(sigma_data * x0 + sigma * noise, sigma, sigma_data) / sigma_data
    denoiser = EDM(sigma_data, sigma_min=1e-6, sigma_max=1e6).denoiser(network)
    mapped = denoiser(mix(x0, noise, column(angle)), column(angle))
    torch.testing.assert_close(mapped, native, rtol=0, atol=1e-11)


@pytest.mark.parametrize("angle", [*ANGLES, PURE_NOISE])
def test_rectified_flow_gives_the_same_x0_on_the_circle_as_natively(angle):
    x0, noise = points()
    t = t_of(column(angle))
    s = torch.where(t.isinf(), torch.ones_like(t), t / (1 + t))
    y = (1 - s) * x0 + s * noise
    native = y - s * network(y, 1000 * s.flatten())
    mapped = RectifiedFlow(time_scale=1000).denoiser(network)(mix(x0, noise, column(angle)), column(angle))
    torch.testing.assert_close(mapped, native, rtol=0, atol=1e-11)


@pytest.mark.parametrize("angle", [*ANGLES, PURE_NOISE])
@pytest.mark.parametrize("sigma_data", [0.5, 1.0])
def test_trigflow_gives_the_same_x0_on_the_circle_as_natively(angle, sigma_data):
    x0, noise = points()
    angle = column(angle)
    y = sigma_data * mix(x0, noise, angle)
    native = angle.cos() * y - angle.sin() * sigma_data * network(y / sigma_data, 1000 * angle.flatten())
    mapped = TrigFlow(time_scale=1000).denoiser(network)(mix(x0, noise, angle), angle)
    torch.testing.assert_close(mapped, native / sigma_data, rtol=0, atol=1e-11)


@pytest.mark.parametrize("timestep", [0, 1, 500, 999])
@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "cosine"])
@pytest.mark.parametrize("predicts", ["eps", "v"])
def test_ddpm_gives_the_same_x0_on_the_circle_as_natively(timestep, betas, predicts):
    """In alpha_bar, at the timesteps that the network was trained at."""
    x0, noise = points()
    map_ = DDPM(vp_angles(betas), predicts)
    angle = column(map_.angles[timestep])
    alpha_bar = angle.cos() ** 2
    y = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise
    said = network(y, torch.full((3,), float(timestep), dtype=DOUBLE))
    eps_native = (y - (1 - alpha_bar).sqrt() * said) / alpha_bar.sqrt()
    v_native = alpha_bar.sqrt() * y - (1 - alpha_bar).sqrt() * said
    mapped = map_.denoiser(network)(mix(x0, noise, angle), angle)
    worst = 1e-11 / float(angle.cos().min()) if predicts == "eps" else 1e-9  # rounding of the angle over the cosine
    torch.testing.assert_close(mapped, eps_native if predicts == "eps" else v_native, rtol=1e-9, atol=worst)


def test_timesteps_between_those_of_training_are_fractions_and_the_ends_are_held():
    map_ = DDPM(vp_angles())
    a, b = map_.angles[10], map_.angles[11]
    angle = torch.tensor([0.0, a, (a + b) / 2, b, PURE_NOISE], dtype=DOUBLE).view(5, 1, 1)
    torch.testing.assert_close(map_.timestep(angle), torch.tensor([0, 10, 10.5, 11, 999], dtype=DOUBLE))


def test_the_betas_of_stable_diffusion_leave_some_signal_and_zero_terminal_snr_none():
    """Stable Diffusion's last alpha_bar is 0.0047; rescaled, the first stays and the last is 0 exactly."""
    plain, rescaled = vp_angles(), vp_angles(zero_terminal_snr=True)
    assert math.cos(plain[-1]) ** 2 == pytest.approx(0.0047, abs=5e-5)
    assert rescaled[0] == pytest.approx(plain[0], abs=1e-12)
    assert rescaled[-1] == PURE_NOISE
    assert all(a < b for a, b in pairwise(rescaled))
    assert DDPM(rescaled, "v").timestep(column(PURE_NOISE)).tolist() == [999] * 3


def test_a_network_of_eps_is_read_at_its_last_angle_beyond_it_and_cannot_have_zero_terminal_snr():
    x, _ = points()
    map_ = DDPM(vp_angles())
    denoiser = map_.denoiser(network)
    torch.testing.assert_close(denoiser(x, column(PURE_NOISE)), denoiser(x, column(map_.angles[-1])))
    with pytest.raises(ValueError, match="zero terminal SNR"):
        DDPM(vp_angles(zero_terminal_snr=True))


@pytest.mark.parametrize("angle", [*ANGLES, PURE_NOISE])
def test_one_exact_denoiser_comes_out_of_every_parameterisation(angle):
    """Each network is written in its own paper's terms from the same truth: x0 and noise that it is told."""
    x0, noise = points()
    x, angle = mix(x0, noise, column(angle)), column(angle)
    networks = {
        "circle": CirclePrecond().denoiser(lambda *_: angle.cos() * noise - angle.sin() * x0),
        "trigflow": TrigFlow().denoiser(lambda *_: angle.cos() * noise - angle.sin() * x0),
        "ddpm v": DDPM(vp_angles(zero_terminal_snr=True), "v").denoiser(
            lambda *_: angle.cos() * noise - angle.sin() * x0
        ),
        "edm": EDM().denoiser(lambda *_: angle.sin() * x0 - angle.cos() * noise),
        "rectified flow": RectifiedFlow().denoiser(lambda *_: noise - x0),
    }
    if (angle < vp_angles()[-1]).all():  # beyond it eps says nothing about x0
        networks["ddpm eps"] = DDPM(vp_angles()).denoiser(lambda *_: noise)
    for name, denoiser in networks.items():
        torch.testing.assert_close(denoiser(x, angle), x0, rtol=0, atol=1e-12, msg=name)


PARAMETERISATIONS = {
    "circle": CirclePrecond(),
    "circle, sigma_data 0.5": CirclePrecond(0.5),
    "edm": EDM(),
    "rectified flow": RectifiedFlow(),
    "trigflow": TrigFlow(),
    "ddpm eps": DDPM(vp_angles()),
    "ddpm v, zero terminal SNR": DDPM(vp_angles(zero_terminal_snr=True), "v"),
}


@pytest.mark.parametrize("parameterisation", PARAMETERISATIONS.values(), ids=PARAMETERISATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_data_is_a_fixed_point_and_pure_noise_is_finite(parameterisation, dtype):
    x, _ = points(dtype=dtype)
    denoiser = parameterisation.denoiser(network)
    assert denoiser(x, column(0.0, dtype)).equal(x)
    assert denoiser(x, column(PURE_NOISE, dtype)).isfinite().all()
    nearly = denoiser(x, column(PURE_NOISE - 1e-6, dtype))
    torch.testing.assert_close(denoiser(x, column(PURE_NOISE, dtype)), nearly, rtol=0, atol=1e-2)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, PURE_NOISE])
@pytest.mark.parametrize("sigma_data", [0.3, 1.0, 2.0])
def test_preconditioning_keeps_input_and_target_at_unit_variance(angle, sigma_data):
    """Variances by algebra: x0 and noise are independent, so coefficients add in squares."""
    angle = torch.tensor(angle, dtype=DOUBLE)
    cos, sin = angle.cos(), angle.sin()
    c_skip, c_out, c_in, _ = CirclePrecond(sigma_data)(angle)
    assert float(c_in**2 * ((cos * sigma_data) ** 2 + sin**2)) == pytest.approx(1)
    if angle > 0:  # target F = (x0 - c_skip x) / c_out
        on_x0, on_noise = (1 - c_skip * cos) / c_out, -c_skip * sin / c_out
        assert float((on_x0 * sigma_data) ** 2 + on_noise**2) == pytest.approx(1)


def test_condition_reaches_the_network_and_half_precision_is_widened():
    x, _ = points(dtype=torch.float32)
    angle = column(1.0, torch.float32)
    seen = {}

    def half(x, time, **condition):
        seen.update(condition, time=time)
        return torch.zeros_like(x, dtype=torch.bfloat16)

    assert CirclePrecond().denoiser(half, text="a horse")(x, angle).dtype == torch.float32
    assert seen["text"] == "a horse"
    assert seen["time"].shape == (3,)


@pytest.mark.parametrize("parameterisation", PARAMETERISATIONS.values(), ids=PARAMETERISATIONS)
def test_what_a_denoiser_is_told_reaches_the_network(parameterisation):
    seen = {}

    def network(x, time, **told):
        seen.update(told)
        return x

    x, _ = points()
    parameterisation.denoiser(network, text="a horse")(x, column(1.0), guidance=7.5)
    assert seen == {"text": "a horse", "guidance": 7.5}
