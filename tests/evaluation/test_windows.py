from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import panning, texture
from vidcm.core.errors import UserError
from vidcm.evaluation.windows import find_clips, fit, read_windows, spread


def test_every_second_frame_is_kept_and_those_between_are_the_truth(clip):
    frames = panning(8)
    windows = list(read_windows(clip("a.mp4", frames), 96, 64, 2))
    assert [window.position for window in windows] == [0, 1, 2]  # frame 7 has no kept frame behind it
    for window, start in zip(windows, (0, 2, 4), strict=True):
        np.testing.assert_array_equal(window.frames_THWC, frames[start : start + 3])
        assert window.taus == (Fraction(1, 2),)


def test_factor_four_rebuilds_three_frames_together(clip):
    (window, _) = read_windows(clip("a.mp4", panning(9)), 96, 64, 4)
    assert window.taus == (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
    assert window.sequence.shape == (5, 3, 64, 96)


def test_positions_follow_the_instants_of_a_variable_rate(clip):
    windows = list(read_windows(clip("vfr.mp4", panning(5), ticks=[0, 1, 3, 7, 8]), 96, 64, 2))
    assert [window.taus for window in windows] == [(Fraction(1, 3),), (Fraction(4, 5),)]


def test_a_window_across_a_hard_cut_is_marked_and_the_shot_counted(clip):
    bright = [255 - frame // 4 for frame in panning(6, seed=2)]
    dark = [frame // 4 for frame in panning(6, seed=1)]
    windows = list(read_windows(clip("cut.mp4", dark[:5] + bright), 96, 64, 2))  # frame 5 begins the second shot
    assert [window.cut for window in windows] == [False, False, True, False, False]
    assert [window.shot for window in windows] == [0, 0, 0, 1, 1]


def test_a_few_windows_are_spread_over_the_whole_clip(clip):
    windows = list(read_windows(clip("a.mp4", panning(25)), 96, 64, 2, max_pairs=3))
    assert [window.position for window in windows] == [2, 6, 10]


@pytest.mark.parametrize(
    ("total", "count", "expected"), [(10, 2, [2, 7]), (3, 0, [0, 1, 2]), (2, 5, [0, 1]), (7, 1, [3])]
)
def test_spread_takes_centres_of_equal_parts(total, count, expected):
    assert spread(total, count) == expected


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_without_a_frame_between_is_refused(clip, frames):
    with pytest.raises(UserError, match="too short for factor 2"):
        list(read_windows(clip("short.mp4", panning(frames)), 96, 64, 2))


def test_fit_averages_areas_when_it_shrinks():
    checkers = (np.indices((64, 96)).sum(axis=0) % 2 * 200).astype(np.uint8)
    np.testing.assert_array_equal(fit(np.stack([checkers] * 3, axis=-1), 48, 32), 100)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (568, 320), (270, 960), (720, 1280)])
def test_fit_covers_the_size_and_keeps_the_centre_and_the_aspect(height, width):
    rows, columns = np.indices((height, width))
    disc = ((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2 < 80**2)[..., None] * np.uint8(255)
    found = fit(np.repeat(disc, 3, axis=-1), 448, 256)[..., 0] > 127
    assert found.shape == (256, 448)
    down, across = np.nonzero(found)
    assert (down.mean(), across.mean()) == pytest.approx((127.5, 223.5), abs=1)
    assert np.ptp(down) == pytest.approx(np.ptp(across), abs=2)


def test_fit_leaves_a_frame_of_that_size_as_it_is():
    frame = texture(0, 256, 448)
    np.testing.assert_array_equal(fit(frame, 448, 256), frame)


def test_a_split_selects_rows_of_the_manifest(folder):
    assert [file.name for file in find_clips([folder], "val")] == ["a.mp4", "b.mp4"]
    assert [file.name for file in find_clips([folder, folder / "c.mp4"])] == ["a.mp4", "b.mp4", "c.mp4", "c.mp4"]


def test_an_unknown_split_names_the_known_ones(folder):
    with pytest.raises(UserError, match=r"no clips of split 'test' in .* \(splits there: train, val\)"):
        find_clips([folder], "test")


def test_the_kept_frames_next_to_a_window_come_with_it(clip):
    frames = panning(9)
    windows = list(read_windows(clip("a.mp4", frames), 96, 64, 2))
    assert [(w.before is None, w.after is None) for w in windows] == [
        (True, False),
        *2 * [(False, False)],
        (False, True),
    ]
    np.testing.assert_array_equal(windows[1].before[0], frames[0])
    np.testing.assert_array_equal(windows[1].after[0], frames[6])
    torch.testing.assert_close(windows[1].around.after, torch.from_numpy(frames[6]).permute(2, 0, 1) / 255)
    few = list(read_windows(clip("b.mp4", frames), 96, 64, 2, max_pairs=2))
    for window in few:
        np.testing.assert_array_equal(window.before[0], windows[window.position].before[0])


def test_how_far_off_they_are_follows_the_instants(clip):
    windows = list(read_windows(clip("vfr.mp4", panning(7), ticks=[0, 1, 3, 4, 5, 8, 9]), 96, 64, 2))
    assert (windows[1].around.lead, windows[1].around.trail) == (1.5, 2.0)  # 0-3, 3-5, 5-9


def test_nothing_is_told_of_another_shot(clip):
    bright = [255 - frame // 4 for frame in panning(6, seed=2)]
    dark = [frame // 4 for frame in panning(6, seed=1)]
    windows = list(read_windows(clip("cut.mp4", dark[:5] + bright), 96, 64, 2))
    assert [window.after is None for window in windows] == [False, True, False, False, True]
    assert [window.before is None for window in windows] == [True, False, False, True, False]
