"""What is at rest is known by both ends, whatever motion was found there; what moves is left to its motion."""

import pytest
import torch
import torch.nn.functional as F

from vidcm.core import large
from vidcm.models.motion_decoder import Motion
from vidcm.models.stillness import REACH, at_rest, rested
from vidcm.models.synthesis import Synthesis

SIZE = 48, 64
BOTH = torch.ones(1, 2)


def texture(seed: int = 0, *, width: int = SIZE[1]) -> torch.Tensor:
    return torch.rand(1, 3, SIZE[0], width, generator=torch.Generator().manual_seed(seed))


def even(x: float, y: float = 0.0) -> torch.Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, *SIZE)


def shifted(picture: torch.Tensor, x: int) -> torch.Tensor:
    return picture.roll(x, dims=-1)


def still(noise: float, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture twice, each with noise of its own."""
    ground = 0.2 + 0.6 * texture()
    return tuple(ground + noise * (texture(seed + k) - 0.5) for k in (1, 2))


def test_ground_that_was_moved_a_little_is_put_back():
    there = still(noise=4 / 255)
    along = tuple(shifted(x, step) for x, step in zip(there, (1, -1), strict=True))
    found = rested(along, there, (even(0.9), even(-0.9)), BOTH)
    for one, two in zip(found, there, strict=True):
        torch.testing.assert_close(one, two)


def test_so_is_ground_that_something_fast_dragged_along():
    """Its motion shows two different places, of which none is there."""
    there = still(noise=4 / 255)
    along = tuple(shifted(x, step) for x, step in zip(there, (12, -9), strict=True))
    assert at_rest(along, there, (even(12), even(-9))).min() == 1


def test_what_moves_is_left_where_it_goes():
    picture = texture()
    there = shifted(picture, -4), shifted(picture, 4)
    assert at_rest((picture, picture), there, (even(-4), even(4))).max() == 0


def test_a_fence_that_moved_on_by_a_post_is_no_ground_that_stood():
    """The ends agree in their places exactly, and along the motion, too."""
    fence = texture(width=8).repeat(1, 1, 1, SIZE[1] // 8)
    assert at_rest((fence, fence), (fence, fence), (even(4), even(-4))).max() == 0
    assert at_rest((fence, fence), (fence, fence), (even(0.1), even(-0.1))).min() == 1


@pytest.mark.parametrize("light", [0, 5])  # levels by which the ball changes
@pytest.mark.parametrize("tau", [0.5, 0.6])
def test_a_small_ball_is_not_taken_away_from_where_neither_end_shows_it(tau, light):
    """Ground that is level agrees best there, as it does all along the way of the ball."""
    ground = torch.full((1, 3, *SIZE), 0.5)
    along = ground.clone(), ground.clone()
    for shown, level in zip(along, (0.9, 0.9 - light / 255), strict=True):
        shown[:, :, 20:26, 28:34] = level
    along[1][:, :, 19:27, 27:35] += 4 / 255  # its rim
    there = shifted(along[0], round(-20 * tau)), shifted(along[1], round(20 * (1 - tau)))
    rest = at_rest(along, there, (even(-20 * tau), even(20 * (1 - tau))))
    assert rest[:, :, 20:26, 28:34].max() == 0


@pytest.mark.parametrize(("level", "rest"), [(6, 1.0), (10.5, 0.5), (15, 0.0)])
def test_what_differs_by_more_than_noise_is_not_at_rest(level, rest):
    """Light that changes, say: along the motion it is no better."""
    ground = 0.3 + 0.3 * texture()
    there = ground, ground + level / 255
    along = shifted(ground, 1), shifted(ground, -1) + level / 255
    torch.testing.assert_close(at_rest(along, there, (even(1), even(-1))), torch.full((1, 1, *SIZE), rest))


def test_without_one_end_nothing_is_known_to_rest():
    along, there = still(0.1), still(0.0, seed=5)
    found = rested(along, there, (even(0), even(0)), torch.tensor([[1.0, 0.0]]))
    for one, two in zip(found, along, strict=True):
        assert torch.equal(one, two)


def test_alpha_that_moves_is_not_at_rest_under_colours_that_do_not():
    colour, ramp = texture(), torch.linspace(0, 1, SIZE[1]).expand(1, 1, *SIZE)
    there = tuple(torch.cat((colour, x), dim=1) for x in (ramp, ramp.flip(-1)))
    along = torch.cat((colour, ramp), dim=1), torch.cat((colour, ramp), dim=1)
    rest = at_rest(along, there, (even(0.5), even(-0.5)))
    assert rest[..., : SIZE[1] // 2 - 8].max() == 0


def test_no_strip_sees_less_than_it_needs():
    """What lies REACH rows away, and more, changes nothing."""
    there, along = still(0.02), still(0.02, seed=7)
    flows = even(0.5), even(-0.5)
    whole = at_rest(along, there, flows)
    part = at_rest(*(tuple(x[..., 16:, :] for x in pair) for pair in (along, there, flows)))
    assert 0 < whole.mean() < 1
    torch.testing.assert_close(part[..., REACH:, :], whole[..., 16 + REACH :, :])


@pytest.mark.parametrize("limit", [0, 10**9])
def test_a_frame_shows_still_ground_as_the_ends_do(limit, monkeypatch):
    """Whole or in strips, under motion of half a pixel that is noise: without any network it would blur."""
    monkeypatch.setattr(large, "LARGE", limit)
    first, last = still(noise=3 / 255)
    half = [side // 2 for side in SIZE]
    flow = 0.5 * torch.randn(1, 2, *half, generator=torch.Generator().manual_seed(3))
    motion = Motion((flow, -flow), torch.zeros(1, 1, *half), torch.zeros(1, 16, *half), [])
    frame, _ = Synthesis()(motion, first, last, BOTH, strip=20 * SIZE[1])
    torch.testing.assert_close(frame, (first + last) / 2)
    assert F.mse_loss(frame, first) < (2 / 255) ** 2
