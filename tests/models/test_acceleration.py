import pytest
import torch

from vidcm.models.acceleration import CELL, HINTS, Beyond, acceleration, deviation, hints

SIZE = 8, 12  # of the 1/4 grid


def everywhere(x, y):
    return torch.tensor([x, y], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, *SIZE).contiguous()


def path(t, v=(3.0, -1.0), a=(1.6, 0.8)):
    """Displacement at t of a thing that moves with v and a at the first frame."""
    return everywhere(*(speed * t + pull * t * t / 2 for speed, pull in zip(v, a, strict=True)))


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_three_places_of_a_steadily_accelerated_thing_tell_its_acceleration(step):
    steps = torch.tensor([step])
    torch.testing.assert_close(acceleration(path(-step), path(1), steps), everywhere(1.6, 0.8))
    from_last = path(1 + step) - path(1), path(0) - path(1)  # time run backwards
    torch.testing.assert_close(acceleration(*from_last, steps), everywhere(1.6, 0.8))


def test_even_motion_is_not_accelerated():
    assert not acceleration(everywhere(-6, 4), everywhere(3, -2), torch.tensor([2.0])).any()


def scene(steps=(1.0, 2.0), present=(1.0, 1.0)):
    pictures = torch.full((1, 3, *SIZE), 0.5)
    lead, trail = steps
    flows = path(-lead), path(1 + trail) - path(1)
    beyond = Beyond((pictures, pictures), flows, torch.tensor([steps]), torch.tensor([present]))
    return beyond, (pictures, pictures), (path(1), path(0) - path(1))


def hinted(beyond, pictures, across, flows, tau, doubt):
    return hints(*deviation(beyond, pictures, across, flows, tau), beyond.present, doubt)


@pytest.mark.parametrize("tau", [0.25, 0.5, 0.8])
def test_the_hints_are_the_correction_that_the_true_place_asks_for(tau):
    """What both flows from the true place need beyond those of even motion, in units of the code."""
    beyond, pictures, across = scene()
    even = (-tau * across[0], (1 - tau) * across[0])
    missed = -path(tau) - even[0]
    torch.testing.assert_close(path(1) - path(tau) - even[1], missed)  # the same towards either end
    doubt = torch.full((1, 5, 2, 3), 0.3)
    strayed, misfits = deviation(beyond, pictures, across, even, torch.tensor([tau]))
    torch.testing.assert_close(strayed, missed.repeat(1, 2, 1, 1), atol=1e-5, rtol=1e-5)
    told = hints(strayed, misfits, beyond.present, doubt)
    assert told.shape == (1, HINTS, SIZE[0] // CELL, SIZE[1] // CELL)
    wanted = (missed[..., ::CELL, ::CELL] / 0.3).asinh()
    torch.testing.assert_close(told[:, 0:2], wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(told[:, 5:7], wanted, atol=1e-5, rtol=1e-5)
    assert told[:, 2:4].abs().max() < 0.01  # neither varies within a cell, nor misfits


def test_a_frame_that_is_not_there_tells_nothing():
    beyond, pictures, across = scene(present=(0.0, 1.0))
    strayed, misfits = deviation(beyond, pictures, across, across, torch.tensor([0.5]))
    assert not strayed[:, :2].any()
    assert strayed[:, 2:].any()
    told = hints(strayed, misfits, beyond.present, torch.ones(1, 5, 2, 3))
    assert not told[:, :5].any()
    assert (told[:, 9] == 1).all()


def test_a_frame_beyond_that_looks_different_is_said_to_misfit():
    beyond, pictures, across = scene()
    beyond.pictures = (beyond.pictures[0] + 0.25, beyond.pictures[1])
    told = hinted(beyond, pictures, across, across, torch.tensor([0.5]), torch.ones(1, 5, 2, 3))
    torch.testing.assert_close(told[:, 3], torch.full((1, 2, 3), 4.0))
    assert told[:, 8].abs().max() < 1e-5


def test_hints_are_looked_up_where_the_motion_leads():
    """The right half of the first frame is pulled, the left half is not; half way things stand a cell group further."""
    pull = torch.zeros(1, 2, 8, 24)
    pull[:, 0, :, 12:] = 4.0  # what a frame before tells: x(-1) = a / 2 - v
    pictures = torch.full((1, 3, 8, 24), 0.5)
    across = torch.zeros(1, 2, 8, 24)
    across[:, 0] = 8.0
    beyond = Beyond((pictures, pictures), (pull - across, across), torch.ones(1, 2), torch.tensor([[1.0, 0.0]]))
    flows = (-across / 2, across / 2)
    told = hinted(beyond, (pictures, pictures), (across, -across), flows, torch.tensor([0.5]), torch.ones(1, 5, 2, 6))
    columns = told[0, 0, 0].sinh()
    torch.testing.assert_close(columns, torch.tensor([0.0, 0.0, 0.0, 0.0, 0.5, 0.5]))  # 12 has come to 16
