import pytest
import torch

from vidcm.families.clip_detail import give_back, hats


def pictures():
    return torch.rand(1, 3, 7, 8, 8, generator=torch.Generator().manual_seed(0))


def test_given_frames_are_what_they_are():
    first, last = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    made = give_back(pictures(), {0: first, 6: last})
    assert (made[:, :, 0] == first).all()
    assert (made[:, :, 6] == last).all()


def test_a_scene_that_stands_still_gets_all_of_the_detail():
    blurred = torch.full((1, 3, 7, 8, 8), 0.5)
    sharp = 0.5 + 0.2 * pictures()[:, :, 0]
    torch.testing.assert_close(give_back(blurred, {0: sharp}), sharp[:, :, None].expand(-1, -1, 7, -1, -1))


def test_what_differs_is_left_alone():
    frames = torch.zeros(1, 3, 7, 8, 8)
    frames[:, :, 3] = 0.5
    made = give_back(frames, {0: torch.full((1, 3, 8, 8), 0.1)})
    torch.testing.assert_close(made[:, :, 3], frames[:, :, 3])
    torch.testing.assert_close(made[:, :, 2], torch.full((1, 3, 8, 8), 0.1))


def test_nothing_given_changes_nothing():
    assert (give_back(pictures(), {}) == pictures()).all()


@pytest.mark.parametrize("places", [[0], [6], [3], [0, 6], [0, 2, 6], [1, 4]])
def test_shares_sum_to_one_at_every_instant(places):
    shares = hats(7, places)
    torch.testing.assert_close(shares.sum(0), torch.ones(7))
    for row, place in zip(shares, places, strict=True):
        assert row[place] == 1
