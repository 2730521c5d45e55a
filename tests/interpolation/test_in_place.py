"""Nothing passes in front of an overlay: where something does, that was ground taken for one, and it is moved."""

import numpy as np
import pytest
import torch

from vidcm.interpolation.in_place import held_still, uncovered

OVERLAY = np.zeros((40, 60), np.float32)
OVERLAY[10:30, 10:40] = 1
COVERED = np.s_[10:30, 10:18]  # of its places, by something bright
GREY, BRIGHT, MADE = 0.4, 1.0, 0.7


def picture(is_covered: bool) -> torch.Tensor:
    planes = torch.full((3, 80, 120), GREY)
    if is_covered:
        planes[:, 20:60, :36] = BRIGHT
    return planes


def less(*places) -> np.ndarray:
    mask = OVERLAY.copy()
    for place in places:
        mask[place] = 0
    return mask


def held(first, last, masks, switches=None) -> torch.Tensor:
    """The frame in the middle, where all that is made is MADE."""
    both = uncovered((first, last), masks, masks[0] if switches is None else switches)
    return held_still(torch.full((3, 1, 80, 120), MADE), [0.5], (first, last), both)[0, 0]


@pytest.mark.parametrize("comes", [True, False], ids=["comes", "goes"])
def test_what_passes_in_front_is_moved_and_the_rest_is_held(comes):
    ends, masks = (picture(not comes), picture(comes)), (less(COVERED), OVERLAY)
    middle = held(*ends, masks[::-1] if comes else masks)
    assert torch.all(middle[24:56, 20:34] == MADE)
    assert torch.allclose(middle[24:56, 50:76], torch.tensor(GREY))


def test_a_thin_part_of_what_passes_is_moved_with_it():
    strip = np.s_[10:30, 35:38]
    last = picture(True)
    last[:, 20:60, 70:76] = BRIGHT
    middle = held(picture(False), last, (OVERLAY, less(COVERED, strip)))
    assert torch.all(middle[24:56, 70:76] == MADE)
    assert torch.allclose(middle[24:56, 50:60], torch.tensor(GREY))


def test_strokes_that_one_end_does_not_know_are_held():
    last = picture(False)
    last[:, 20:60, 24:30] = BRIGHT
    middle = held(picture(False), last, (OVERLAY, less(np.s_[10:30, 12:15])))
    assert torch.allclose(middle[24:56, 24:76], torch.tensor(GREY))


def test_a_line_that_goes_goes_whole_and_is_shown_until_then():
    middle = held(picture(True), picture(False), (OVERLAY, 0 * OVERLAY))
    assert torch.all(middle[24:56, 24:34] == BRIGHT)


def test_of_two_words_one_may_go():
    other = OVERLAY.copy()
    other[10:30, 20:28] = 0  # ground between them
    middle = held(picture(True), picture(False), (other, np.where(np.arange(60) < 20, 0, other)))
    assert torch.all(middle[24:56, 24:34] == BRIGHT)


def test_where_both_ends_show_the_same_it_is_held_though_one_does_not_know():
    middle = held(picture(False), picture(False), (OVERLAY, less(COVERED)))
    assert torch.allclose(middle[24:56, 24:76], torch.tensor(GREY))


def test_what_switches_is_held():
    switches = 0 * OVERLAY
    switches[COVERED] = 1
    middle = held(picture(True), picture(False), (less(COVERED), OVERLAY), np.maximum(less(COVERED), switches))
    assert torch.all(middle[24:56, 20:34] == BRIGHT)
