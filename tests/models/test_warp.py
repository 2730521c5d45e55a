import pytest
import torch

from vidcm.models.warp import resize_flow, warp

MODES = ("bilinear", "bicubic")


def ramp(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((x, y)).float()[None]


def constant_flow(x, y, height=12, width=16):
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_warp_looks_up_where_the_flow_points(mode):
    picture = ramp(12, 16)  # every pixel says where it is
    moved = warp(picture, constant_flow(1.5, -2.25), mode)
    inside = (slice(None), slice(None), slice(4, 11), slice(1, 13))
    near = 1e-5 if mode == "bilinear" else 0.05  # the cubic kernel bends a ramp a little
    torch.testing.assert_close(moved[inside], (picture + constant_flow(1.5, -2.25))[inside], atol=near, rtol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_warp_repeats_the_border_outside(mode):
    moved = warp(ramp(12, 16) + 3, constant_flow(-100.0, 0.0), mode)
    torch.testing.assert_close(moved[:, 0], torch.full((1, 12, 16), 3.0))


def test_bicubic_keeps_detail_that_bilinear_averages_away():
    """Half a pixel along a sine of four pixels: two taps keep 0.71 of it, sixteen keep 0.97."""
    wave = torch.sin(torch.arange(64) * torch.pi / 2 + torch.pi / 4).expand(1, 1, 8, 64)
    kept = {mode: warp(wave, constant_flow(0.5, 0.0, 8, 64), mode)[..., 8:56].abs().amax() for mode in MODES}
    assert kept["bilinear"] == pytest.approx(0.707, abs=0.01)
    assert kept["bicubic"] == pytest.approx(0.972, abs=0.005)


def test_a_picture_of_one_row_can_be_warped():
    assert warp(torch.ones(1, 1, 1, 5), constant_flow(1.0, 1.0, 1, 5)).isfinite().all()


def test_warp_of_a_half_precision_picture_keeps_exact_positions():
    picture = torch.zeros(1, 1, 4, 2048)
    picture[..., 1999] = 1
    moved = warp(picture.bfloat16(), constant_flow(1.0, 0.0, 4, 2048))
    assert moved[0, 0, 1].float().argmax() == 1998
    torch.testing.assert_close(moved.float().sum(), torch.tensor(4.0))


def test_resizing_a_flow_scales_what_it_says():
    small = constant_flow(1.0, 2.0, 6, 8)
    torch.testing.assert_close(resize_flow(small, (12, 32)), constant_flow(4.0, 4.0, 12, 32))


@pytest.mark.parametrize("mode", MODES)
def test_strips_of_a_flow_warp_like_the_whole(mode):
    picture, flow = torch.rand(1, 2, 12, 16), 3 * torch.randn(1, 2, 12, 16)
    strips = [warp(picture, flow[:, :, top : top + 5], mode, top) for top in (0, 5, 10)]
    torch.testing.assert_close(torch.cat(strips, dim=2), warp(picture, flow, mode))
