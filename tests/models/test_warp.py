import pytest
import torch
import torch.nn.functional as F

from vidcm.models import warp as room
from vidcm.models.warp import enlarged, resize_flow, warp

MODES = ("bilinear", "bicubic")


def ramp(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((x, y)).float()[None]


def constant_flow(x, y, height=12, width=16):
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@torch.inference_mode()
def test_warp_looks_up_where_the_flow_points(mode):
    picture = ramp(12, 16)  # every pixel says where it is
    moved = warp(picture, constant_flow(1.5, -2.25), mode)
    inside = (slice(None), slice(None), slice(4, 11), slice(1, 13))
    near = 1e-5 if mode == "bilinear" else 0.05  # the cubic kernel bends a ramp a little
    torch.testing.assert_close(moved[inside], (picture + constant_flow(1.5, -2.25))[inside], atol=near, rtol=0)


@pytest.mark.parametrize("batch", [1, 3])
@torch.inference_mode()
def test_many_channels_are_looked_up_as_few_are(batch):
    """Far beyond the borders, too, and strip by strip."""
    generator = torch.Generator().manual_seed(0)
    image, flow = (
        torch.rand(batch, room.MANY, 24, 32, generator=generator),
        9 * torch.randn(batch, 2, 24, 32, generator=generator),
    )
    many = warp(image, flow)
    assert many.is_contiguous(memory_format=torch.channels_last)  # the one way, and the other
    few = torch.cat([warp(plane, flow) for plane in image.split(1, dim=1)], dim=1)
    torch.testing.assert_close(many, few, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp(image, flow[:, :, 5:9].contiguous(), top=5), many[:, :, 5:9])


@pytest.mark.parametrize("size", [(45, 70), (24, 33)])
def test_what_is_enlarged_is_what_pytorch_makes_of_it(size):
    x = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(x.requires_grad_(), size=size, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        torch.testing.assert_close(enlarged(x.detach(), size), wanted.detach(), atol=1e-5, rtol=0)
    assert enlarged(x, size).requires_grad


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@torch.inference_mode()
def test_warp_repeats_the_border_outside(mode):
    moved = warp(ramp(12, 16) + 3, constant_flow(-100.0, 0.0), mode)
    torch.testing.assert_close(moved[:, 0], torch.full((1, 12, 16), 3.0))


@torch.inference_mode()
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
@torch.inference_mode()
def test_strips_of_a_flow_warp_like_the_whole(mode):
    picture, flow = torch.rand(1, 2, 12, 16), 3 * torch.randn(1, 2, 12, 16)
    strips = [warp(picture, flow[:, :, top : top + 5], mode, top) for top in (0, 5, 10)]
    torch.testing.assert_close(torch.cat(strips, dim=2), warp(picture, flow, mode))


@pytest.mark.parametrize("planes", [1, 3, 4, 7])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@torch.inference_mode()
def test_opencv_looks_up_what_pytorch_does(planes, order, monkeypatch):
    """Beyond the edges, too; at 32nds of a pixel, to which OpenCV 4 rounds."""
    picture = torch.rand(2, planes, 12, 16).contiguous(memory_format=order)
    flow = (32 * 5 * torch.randn(2, 2, 7, 16)).round() / 32
    found = warp(picture, flow, "bicubic", 3)
    monkeypatch.setattr(room, "is_for_a_cpu", lambda image, flow: False)
    torch.testing.assert_close(found, warp(picture, flow, "bicubic", 3), atol=2e-5, rtol=0)
    assert planes > 4 or found.is_contiguous(memory_format=order)


def test_what_learns_has_its_gradient():
    picture, flow = torch.rand(1, 3, 12, 16), torch.zeros(1, 2, 12, 16, requires_grad=True)
    warp(picture, flow + 0.3, "bicubic").square().sum().backward()
    assert flow.grad.abs().sum() > 0


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_a_flow_that_is_not_a_number_is_not_hidden(mode):
    flow = constant_flow(1.0, 1.0)
    flow[..., 5, 5] = torch.nan
    assert not warp(torch.rand(1, room.MANY, 12, 16), flow, mode).isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_training_takes_one_way_for_all(mode):
    """Where nothing learns, too: otherwise a step would round by how it is divided."""
    image, flow, size = torch.rand(2, room.MANY, 12, 16), 3 * torch.randn(2, 2, 12, 16), (24, 40)
    learnt, grown = warp(image.requires_grad_(), flow, mode), enlarged(image, size)
    with torch.no_grad():
        torch.testing.assert_close(warp(image, flow, mode), learnt, atol=0, rtol=0)
        torch.testing.assert_close(enlarged(image, size), grown, atol=0, rtol=0)
