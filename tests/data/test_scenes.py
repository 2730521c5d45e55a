"""Scenes are found as they stream by: known frames in, known stretches out."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidcm.data.scenes import SceneFinder

from .clip_makers import scene_frames

RATE = Fraction(24)


def textured(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """float32 luma of patches 6 pixels wide, wide enough to be looked at through a moving window."""
    cells = np.random.default_rng(seed).uniform(30, 225, (height // 6, 64))
    return np.kron(cells, np.ones((6, 6))).astype(np.float32)[:height]


def moving(seed: int, count: int, noise: float = 0.0) -> list[np.ndarray]:
    """A texture that moves by two pixels a frame."""
    plane, rng = textured(seed), np.random.default_rng(99)
    views = (plane[:, 2 * i : 2 * i + 128, None] + rng.normal(0, noise or 1e-9, (96, 128, 3)) for i in range(count))
    return [np.clip(view, 0, 255).astype(np.uint8) for view in views]


def still(seed: int, count: int, noise: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(98)
    picture = np.repeat(textured(seed)[:, :128, None], 3, axis=2)
    return [
        np.clip(picture + rng.normal(0, noise or 1e-9, picture.shape), 0, 255).astype(np.uint8) for _ in range(count)
    ]


def found(folder: Path, frames: list[np.ndarray], instants: list[Fraction] | None = None) -> SceneFinder:
    finder = SceneFinder(folder, "name", RATE, min_frames=9)
    for index, frame in enumerate(frames):
        finder.add(instants[index] if instants else index / RATE, frame)
    finder.finish()
    return finder


def ranges(finder: SceneFinder) -> list[tuple[int, int]]:
    return [(scene.first, scene.frames) for scene in finder.scenes]


def test_one_moving_shot_is_one_scene_with_its_very_frames(tmp_path):
    frames = moving(0, 20)
    finder = found(tmp_path, frames)
    assert ranges(finder) == [(0, 20)]
    assert finder.dropped == []
    [scene] = finder.scenes
    np.testing.assert_array_equal(np.load(tmp_path / scene.array), np.stack(frames))
    assert scene.instants == tuple(i / RATE for i in range(20))
    assert [path.name for path in tmp_path.iterdir()] == [scene.array]


def test_a_rendered_scene_is_kept_whole(tmp_path):
    assert ranges(found(tmp_path, list(scene_frames(3, 12)))) == [(0, 12)]


def test_no_scene_crosses_a_cut(tmp_path):
    finder = found(tmp_path, moving(0, 15) + moving(1, 12))
    assert ranges(finder) == [(0, 15), (15, 12)]
    assert finder.cuts == 1


def test_what_is_left_too_short_is_named(tmp_path):
    finder = found(tmp_path, moving(0, 15) + moving(1, 8))
    assert ranges(finder) == [(0, 15)]
    assert finder.dropped == [(15, 22, "short")]


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_a_still_is_left_out_and_what_moves_around_it_kept(tmp_path, noise):
    before = moving(0, 20, noise)
    frozen = still(0, 40, noise)
    finder = found(tmp_path, before[::-1] + frozen + moving(0, 20, noise)[1:])
    [(first, one), (second, two)] = ranges(finder)
    assert first == 0
    assert abs(one - 20) <= 1
    assert abs(second - 60) <= 1
    assert abs(two - 19) <= 1
    assert sum(finder.fates.values()) == 79
    assert finder.fates["still"] + finder.fates["repeat"] == pytest.approx(40, abs=2)


def test_a_short_pause_is_no_still(tmp_path):
    noisy = moving(0, 14, noise=4.0)
    finder = found(tmp_path, noisy)
    assert ranges(finder) == [(0, 14)]


@pytest.mark.parametrize("hold", [2, 3])
def test_animation_on_twos_and_threes_keeps_one_of_each_at_its_own_instant(tmp_path, hold):
    frames = moving(0, 15)
    finder = found(tmp_path, [frame for frame in frames for _ in range(hold)])
    assert [(scene.first, scene.frames, scene.hold) for scene in finder.scenes] == [(0, 15, hold)]
    assert finder.scenes[0].instants == tuple(hold * i / RATE for i in range(15))
    np.testing.assert_array_equal(np.load(tmp_path / finder.scenes[0].array), np.stack(frames))
    assert finder.fates["repeat"] == 15 * (hold - 1)


def test_uneven_repeats_end_a_scene(tmp_path):
    frames = moving(0, 24)
    finder = found(tmp_path, [*frames[:12], frames[11], *frames[12:]])
    assert ranges(finder) == [(0, 12), (13, 12)]
    pulled = [frame for i, frame in enumerate(moving(1, 24)) for _ in range(1 + (i % 4 == 3))]
    finder = found(tmp_path, pulled)
    assert ranges(finder) == []
    assert {why for _, _, why in finder.dropped} <= {"uneven", "short"}


def test_missing_time_ends_a_scene_and_a_variable_rate_does_not(tmp_path):
    steps = np.random.default_rng(0).integers(1, 4, 24)
    instants = [Fraction(int(place), 24) for place in np.cumsum(steps)]
    assert ranges(found(tmp_path, moving(0, 24), instants)) == [(0, 24)]
    instants = instants[:12] + [instant + 2 for instant in instants[12:]]
    assert ranges(found(tmp_path, moving(0, 24), instants)) == [(0, 12), (12, 12)]


def test_an_unfinished_scene_leaves_nothing_behind(tmp_path):
    finder = SceneFinder(tmp_path, "name", RATE, min_frames=9)
    for index, frame in enumerate(moving(0, 12)):
        finder.add(index / RATE, frame)
    finder.discard()
    assert list(tmp_path.iterdir()) == []


def test_motion_that_slows_down_is_no_repeat(tmp_path):
    plane, place, frames = textured(2), 0.0, []
    for index in range(24):
        place += max(0.3, 6 * 0.75**index)
        whole, part = int(place), place % 1
        view = (1 - part) * plane[:, whole : whole + 128] + part * plane[:, whole + 1 : whole + 129]
        frames.append(np.repeat(view[..., None], 3, axis=2).astype(np.uint8))
    assert ranges(found(tmp_path, frames)) == [(0, 24)]
