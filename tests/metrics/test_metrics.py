"""Closed forms: every metric on pictures for which the answer is known."""

import math

import pytest
import torch
from torch.nn.functional import avg_pool2d

from vidcm.metrics.brightness import brightness
from vidcm.metrics.energy import energy_score, patch_energy_score
from vidcm.metrics.flicker import flicker
from vidcm.metrics.gmsd import gmsd
from vidcm.metrics.mpsnr import moving_mask, mpsnr
from vidcm.metrics.psnr import CEILING_DB, psnr
from vidcm.metrics.sharpness import sharpness
from vidcm.metrics.ssim import ssim


@pytest.fixture
def picture():
    return torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def grey_ramp(step, size=64):
    """Luma rising by `step` per pixel from left to right."""
    return (torch.arange(size).double() * step).expand(3, size, size)


def test_psnr_of_a_constant_offset_is_its_decibels(picture):
    assert psnr(picture + 0.1, picture).tolist() == pytest.approx([20.0, 20.0])


def test_psnr_of_identical_frames_stays_finite(picture):
    assert psnr(picture, picture).tolist() == [CEILING_DB] * 2


def test_mpsnr_counts_moving_pixels_and_their_neighbours_only():
    first = torch.zeros(3, 32, 32)
    truth = first.clone()
    truth[:, 10, 10] = 1.0  # one pixel moves; 2 around it count: 5 x 5
    rebuilt = truth.clone()
    rebuilt[:, 8:13, 8:13] += 0.1
    rebuilt[:, 20:, 20:] = 0.5  # wrong, but where nothing moves
    assert moving_mask(truth[None], first, first).sum() == 25
    assert mpsnr(rebuilt[None], truth[None], first, first).item() == pytest.approx(20.0, abs=1e-4)


def test_mpsnr_ignores_change_within_the_threshold():
    first = torch.full((3, 16, 16), 0.5)
    assert mpsnr(first[None] + 0.2, first[None] + 7 / 255, first, first).isnan().all()


def test_a_pixel_moves_if_it_differs_from_either_end():
    first, last = torch.zeros(3, 8, 8), torch.ones(3, 8, 8)
    assert moving_mask(first[None], first, last).all()
    assert moving_mask(last[None], first, last).all()


def test_ssim_of_identical_frames_is_one(picture):
    assert ssim(picture, picture).tolist() == pytest.approx([1.0, 1.0])


def test_ssim_of_two_flat_frames_is_the_luminance_term():
    a, b = 0.4, 0.6
    expected = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    flat = torch.ones(3, 20, 20, dtype=torch.float64)
    assert ssim(a * flat, b * flat).item() == pytest.approx(expected)


def test_ssim_of_an_inverted_frame_is_negative(picture):
    assert (ssim(1 - picture, picture) < -0.5).all()


def test_ssim_of_halved_contrast_follows_its_formula(picture):
    """x = mean + contrast (y - mean) of independent noise: the windowed variance is contrast^2 that of y."""
    grey = torch.rand(1, 200, 200, generator=torch.Generator().manual_seed(1), dtype=torch.float64).expand(3, -1, -1)
    weight = torch.exp(-((torch.arange(11).double() - 5) ** 2) / (2 * 1.5**2))
    weight = weight / weight.sum()
    variance = (1 - (weight**2).sum() ** 2) / 12  # of uniform noise, seen through the window
    expected = (2 * 0.5 * variance + 9e-4) / ((1 + 0.25) * variance + 9e-4)
    assert ssim(0.5 + 0.5 * (grey - 0.5), grey).item() == pytest.approx(expected.item(), abs=5e-3)


def test_gmsd_of_identical_frames_is_zero(picture):
    assert gmsd(picture, picture).tolist() == pytest.approx([0.0, 0.0])


def test_gmsd_sees_where_similarity_varies_and_not_how_low_it_is():
    """A ramp of half the slope is wrong everywhere alike: 0. Half wrong, half right: half the gap."""
    truth = grey_ramp(0.01)
    assert gmsd(grey_ramp(0.005), truth).item() == pytest.approx(0, abs=1e-6)

    half = truth.clone()
    half[:, 32:] = 0.5  # flat below: gradient magnitude 0 there
    slope = 0.02  # per pixel at half size, where Prewitt spans two pixels
    low = (170 / 255**2) / ((2 * slope) ** 2 + 170 / 255**2)
    assert gmsd(half, truth).item() == pytest.approx((1 - low) / 2, abs=0.03)


def test_sharpness_of_a_frame_to_itself_is_one_and_scales_with_contrast_squared(picture):
    assert sharpness(picture, picture).tolist() == pytest.approx([1.0, 1.0])
    assert sharpness(0.5 * picture + 0.2, picture).tolist() == pytest.approx([0.25, 0.25])


def test_a_blurred_frame_is_less_sharp_and_a_ghosted_edge_about_half(picture):
    assert (sharpness(avg_pool2d(picture, 3, 1, 1), picture) < 0.5).all()
    edge = torch.zeros(3, 32, 64, dtype=torch.float64)
    edge[..., 32:] = 1
    ghost = (edge.roll(6, -1) + edge.roll(-6, -1)) / 2
    inside = (..., slice(10, 54))
    assert sharpness(ghost[inside], edge[inside]).item() == pytest.approx(0.5)


@pytest.mark.parametrize(("factor", "expected"), [(2, 5.0), (4, 2.5)])
def test_flicker_of_generated_frames_brighter_by_five_levels(factor, expected):
    truth = torch.rand(factor + 1, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 2
    rebuilt = truth.clone()
    rebuilt[1:-1] += 5 / 255
    assert flicker(rebuilt, truth).item() == pytest.approx(expected)


def test_brightness_is_held_against_the_line_between_the_ends(picture):
    first, last = picture[0] * 0.5, picture[0] * 0.5 + 0.3
    made = torch.stack([torch.lerp(first, last, tau) for tau in (0.25, 0.5, 0.75)])
    assert brightness(made, first, last).tolist() == pytest.approx([0, 0, 0])
    made[1] -= 2 / 255
    made[2, :, :24] += 3 / 255  # of half the picture
    assert brightness(made, first, last).tolist() == pytest.approx([0, 2, 1.5])


def test_flicker_forgives_fades_that_are_true_and_edges_off_by_a_pixel_within_a_cell():
    fade = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 3, 64, 64)
    assert flicker(fade, fade).item() == 0
    line = torch.zeros(3, 3, 16, 16)
    line[1, :, :, 4] = 1
    shifted = line.roll(1, -1)
    assert flicker(shifted, line).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0, 2.0])
def test_energy_score_of_gaussians_is_their_closed_form_with_few_samples(spread):
    """X ~ N(0, spread^2), y ~ N(0, 1): ES = sqrt(2/pi) (sqrt(1 + spread^2) - spread / sqrt 2) for any count."""
    generator = torch.Generator().manual_seed(0)
    samples = spread * torch.randn(3, 400_000, 1, generator=generator)
    truth = torch.randn(400_000, 1, generator=generator)
    expected = math.sqrt(2 / math.pi) * (math.sqrt(1 + spread**2) - spread / math.sqrt(2))
    assert energy_score(samples, truth).mean().item() == pytest.approx(expected, abs=4e-3)


def test_one_sample_is_scored_as_a_point():
    assert energy_score(torch.full((1, 9), 3.0), torch.zeros(9)).item() == pytest.approx(3.0)


def test_the_true_distribution_beats_its_mean_and_both_wrong_spreads():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2000, 4, generator=generator)
    noise = torch.randn(4, 2000, 4, generator=generator)
    score = {spread: energy_score(spread * noise, truth).mean().item() for spread in (0.0, 0.5, 1.0, 2.0)}
    assert min(score, key=score.get) == 1.0


def test_patch_energy_is_in_grey_levels_and_local():
    truth = torch.zeros(3, 32, 40)  # 8 columns beyond whole patches
    assert patch_energy_score((truth + 10 / 255)[None], truth).item() == pytest.approx(10.0, rel=1e-5)
    corner = truth.clone()
    corner[:, :16, :16] = 10 / 255
    assert patch_energy_score(corner[None], truth).item() == pytest.approx(2.5, rel=1e-5)


@pytest.mark.parametrize("metric", [psnr, ssim, gmsd, sharpness])
def test_frames_are_measured_each_on_its_own(metric, picture):
    rebuilt = (picture + 0.1 * picture.roll(1, -1)).clamp(0, 1)
    alone = torch.stack([metric(a, b) for a, b in zip(rebuilt, picture, strict=True)])
    torch.testing.assert_close(metric(rebuilt, picture), alone)
