from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcm.data.augment import Window, cut
from vidcm.data.batches import Batches, DataConfig
from vidcm.data.pool import keyed_rng
from vidcm.data.shake import REACH, camera_path, cut_off, within

from .clip_makers import scene_frames

FRAME = (96, 160)
CONFIG = DataConfig(crop=(64, 96), batch_size=24, between={1: 1.0}, absent=0.0, synthetic=0.0, quarter_turn=0.0)


def test_a_window_moved_by_whole_pixels_is_the_window_there():
    frame = keyed_rng(1).integers(0, 256, (*FRAME, 3)).astype(np.uint8)
    window, size = Window(20, 30, 40, 64), (40, 64)
    moved = cut_off(frame, window, np.array([5, -7]), size)
    np.testing.assert_array_equal(moved, cut(frame, Window(13, 35, 40, 64), size))


def test_half_a_pixel_moves_a_ramp_by_half_its_slope():
    ramp = np.repeat(np.arange(0, 160, dtype=np.uint8)[None, :, None], 96, axis=0).repeat(3, axis=2)
    window = Window(20, 30, 40, 64)
    moved = [cut_off(ramp, window, np.array([by, 0.25]), (40, 64)).astype(int) for by in (0.0, 0.5, 1.0)]
    assert (moved[2] - moved[0] == 1).all()
    assert abs((moved[1] - moved[0]).mean() - 0.5) < 0.51  # rounded to a level: 0 or 1


@pytest.mark.parametrize("number", range(40))
def test_a_path_stays_in_the_frame_and_keeps_its_shape(number):
    rng = keyed_rng(2, number)
    window = Window.draw(rng, FRAME, (64, 96), 1.0)
    path = camera_path(rng, np.array([-1, 0, 0.5, 1, 2.0]))
    kept = within(path, window, FRAME)
    left, top = window.left + kept[:, 0], window.top + kept[:, 1]
    assert left.min() >= -1e-9
    assert top.min() >= -1e-9
    assert left.max() + window.width <= FRAME[1] + 1e-9
    assert top.max() + window.height <= FRAME[0] + 1e-9
    steps, kept_steps = np.diff(path, axis=0), np.diff(kept, axis=0)
    room = np.array([FRAME[1] - window.width, FRAME[0] - window.height])
    share = np.minimum(1, room / np.ptp(path, axis=0))
    np.testing.assert_allclose(kept_steps, share * steps, atol=1e-9)


def test_paths_are_small_and_large_and_do_not_go_on_evenly():
    instants = np.array([-1, 0, 1, 2.0])
    bends = []
    for number in range(600):
        path = camera_path(keyed_rng(3, number), instants)
        assert np.isfinite(path).all()
        bends.append(np.abs(np.diff(path, 2, axis=0)).max())
    assert np.quantile(bends, 0.25) < 1 < np.quantile(bends, 0.75) < 2 * REACH[1]


def test_a_kink_between_the_ends_is_told_from_one_before_them():
    """In some samples one end alone sees speed change, and the middle stands where even motion has it."""
    one_sided = 0
    for number in range(600):
        x = camera_path(keyed_rng(4, number), np.array([-1, 0, 0.5, 1, 2.0]))[:, 0]
        size = np.abs(x).max()
        seen = abs(x[0] - 2 * x[1] + x[3]), abs(x[1] - 2 * x[3] + x[4])
        even = abs(x[2] - (x[1] + x[3]) / 2) < 1e-6 * size
        one_sided += even and max(seen) > 0.05 * size
    assert one_sided > 40  # of 600


def test_shaken_samples_move_as_the_path_says(make_cache):
    """A still clip: all motion between the frames is the camera's, and every flow agrees with every other."""
    still = np.repeat(scene_frames(7)[:1], 9, axis=0)
    cache = make_cache(still=(still, "train", None))
    config = replace(CONFIG, shake=1.0, alone=0.0, photometric=0.0, moving=0.0, gaps={2: 1.0}, reverse=0.0)
    batch = Batches(config, cache).batch(0)
    forward, half = batch["flow_forward"], batch["flow_to_last"][:, :, 0] - batch["flow_to_first"][:, :, 0]
    middle = (slice(None), slice(None), slice(3, -3), slice(4, -4))
    asked, found = (x[middle].flatten(2).median(2).values for x in (forward, half))
    assert asked.abs().amax() > 0.5  # cells: something moved
    assert (asked - found).abs().median() < 0.1
    plain = Batches(replace(config, shake=0.0), cache).batch(0)
    assert plain["flow_forward"].abs().max() < 0.05
    assert torch.equal(plain["tau"], batch["tau"])
