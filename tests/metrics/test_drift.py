import math

import torch

from vidcm.metrics.drift import drift

BLACK = torch.zeros(3, 40, 60)


def moving_left_half() -> torch.Tensor:
    """A true frame [1, 3, H, W] that differs from both (black) ends left of column 30."""
    truth = BLACK.clone()[None]
    truth[..., :28] = 0.5  # and two columns around count as moving
    return truth


def test_seeds_that_differ_where_things_move_are_apart_and_do_not_drift():
    samples = moving_left_half().repeat(4, 1, 1, 1, 1)
    samples[2, ..., :30] += 8 / 255
    found = drift(samples, moving_left_half(), BLACK, BLACK)
    assert math.isclose(found["apart"], 8, abs_tol=1e-3)
    assert found["drift"] == found["drift99"] == 0


def test_drift_is_the_range_over_seeds_of_what_stands_still():
    samples = moving_left_half().repeat(3, 1, 1, 1, 1)
    samples[0, ..., 30:] += 2 / 255
    samples[1, ..., 30:] += 5 / 255
    samples[2, ..., 0, 30:] += 50 / 255  # one row of forty, 2.5% of what stands still; the least there is 2
    found = drift(samples, moving_left_half(), BLACK, BLACK)
    assert found["apart"] == 0
    assert math.isclose(found["drift"], (39 * 5 + 48) / 40, abs_tol=1e-3)
    assert math.isclose(found["drift99"], 48, abs_tol=1e-3)


def test_what_one_pixel_in_a_thousand_does_is_not_in_the_99_percent():
    samples = BLACK.clone()[None, None].repeat(2, 1, 1, 1, 1)
    samples[1, ..., 0, :2] = 1.0
    found = drift(samples, BLACK[None], BLACK, BLACK)
    assert found["drift99"] == 0
    assert found["drift"] > 0
    assert math.isnan(found["apart"])  # nothing moves
