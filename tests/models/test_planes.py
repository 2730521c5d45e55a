"""What goes along with red, green and blue: known shapes, moved by fractions of a pixel."""

import pytest
import torch
import torch.nn.functional as F

from vidcm.models.motion_decoder import Motion
from vidcm.models.planes import moved
from vidcm.models.synthesis import Synthesis, warp_in_strips
from vidcm.models.warp import warp

HEIGHT, WIDTH = 32, 48
PLATE = (slice(None), slice(None), slice(8, 24), slice(12, 36))


def flow(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH).contiguous()


def plate(colour: float = 0.8, cover: float = 0.5) -> torch.Tensor:
    """A half-transparent plate of one colour, over grey, and its alpha: [1, 4, H, W]."""
    alpha = torch.zeros(1, 1, HEIGHT, WIDTH)
    alpha[PLATE] = cover
    return torch.cat((0.5 + (colour - 0.5) * alpha.expand(-1, 3, -1, -1), alpha), dim=1)


def lamp(bright: float = 3.5) -> torch.Tensor:
    """Layers of light before a dark wall: [1, 7, H, W]."""
    shown = torch.full((1, 3, HEIGHT, WIDTH), 0.1)
    shown[PLATE] = bright
    inside = shown.clamp(0, 1)
    return torch.cat((inside, shown - inside, torch.ones(1, 1, HEIGHT, WIDTH)), dim=1)


@torch.inference_mode()
def test_a_picture_without_more_planes_is_looked_up_as_ever():
    picture, along = torch.rand(2, 3, HEIGHT, WIDTH), 5 * torch.randn(2, 2, 8, WIDTH)
    torch.testing.assert_close(moved(picture, along, 4), warp(picture, along, "bicubic", 4), atol=0, rtol=0)


@pytest.mark.parametrize("step", [(0.5, 0.0), (3.25, -1.5), (-0.5, 0.5)])
@torch.inference_mode()
def test_alpha_has_no_rim_and_covers_the_same_colour(step):
    assert warp(plate(), flow(*step), "bicubic")[:, 3].max() > 0.54  # there would be one: 12 of 255 levels
    found = moved(plate(), flow(*step))
    alpha = found[:, 3:]
    assert alpha.max() <= 0.5
    assert alpha.min() >= 0
    colour = 0.5 + (found[:, :3] - 0.5) / alpha.clamp(min=1 / 512)
    torch.testing.assert_close(colour[(alpha > 0.02).expand_as(colour)].min(), torch.tensor(0.8), atol=1e-3, rtol=0)
    torch.testing.assert_close(colour[(alpha > 0.02).expand_as(colour)].max(), torch.tensor(0.8), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_what_is_wholly_there_keeps_the_detail_of_its_colours():
    picture = torch.cat((torch.rand(1, 3, HEIGHT, WIDTH), torch.ones(1, 1, HEIGHT, WIDTH)), dim=1)
    along = 5 * torch.randn(1, 2, HEIGHT, WIDTH)
    torch.testing.assert_close(moved(picture, along), warp(picture, along, "bicubic"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("planes", [6, 7])
@torch.inference_mode()
def test_a_lamp_has_no_halo_and_no_dark_ring(planes):
    picture = lamp()[:, :planes]
    plain, found = warp(picture, flow(0.5, 0), "bicubic"), moved(picture, flow(0.5, 0))
    shown = plain[:, :3] + plain[:, 3:6]
    assert (float(shown.max()), float(shown.min())) == pytest.approx((3.82, -0.22), abs=0.01)
    shown = found[:, :3] + found[:, 3:6]
    assert (float(shown.max()), float(shown.min())) == pytest.approx((3.5, 0.1), abs=1e-5)
    assert float(found[:, :3].max()) <= 1  # as it is clipped later, which would take from the sum
    assert float(found[:, :3].min()) >= 0


@torch.inference_mode()
def test_bounds_are_those_of_the_pixels_around_in_every_strip_and_beyond_the_edges():
    torch.manual_seed(0)
    picture, along = torch.rand(2, 4, HEIGHT, WIDTH), 9 * torch.randn(2, 2, HEIGHT, WIDTH)
    whole = moved(picture, along)
    for top in (0, 5, 30):
        strip = moved(picture, along[:, :, top : top + 2], top)
        torch.testing.assert_close(strip, whole[:, :, top : top + 2], atol=1e-5, rtol=0)
    for sign in (-1, 1):
        most = F.max_pool2d(sign * picture[:, 3:], 3, stride=1, padding=1)
        nearest = warp(most, along.round())  # of nine pixels, the four among them
        assert (sign * whole[:, 3:] - nearest).max() < 1e-5


@torch.inference_mode()
def test_a_place_that_is_no_number_shows():
    along = flow(0.5, 0)
    along[0, 0, 3, 3] = float("nan")
    assert moved(plate(), along)[0, 3, 3, 3].isnan()


@torch.inference_mode()
def test_made_pictures_and_what_goes_on_have_no_rim():
    motion = Motion((flow(0.5, 0.5), flow(-0.5, -0.5)), torch.zeros(1, 1, HEIGHT, WIDTH), torch.zeros(1, 16, 8, 12), [])
    frame, _ = Synthesis()(motion, plate(), plate(), torch.ones(1, 2))
    assert 0.4 < frame[:, 3].max() <= 0.5
    assert 0.4 < warp_in_strips(plate(), motion.flows[0], strip=5 * WIDTH)[:, 3].max() <= 0.5
