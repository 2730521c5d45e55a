"""A hard cut is found where it is, and nothing else is taken for one."""

import numpy as np
import pytest

from tests.media.scenes import scene
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector, cut_score, histogram_change, thumbnail


def cuts_in(frames) -> list[int]:
    detector, found = CutDetector(), []
    frames = list(frames)
    for index in range(1, len(frames)):
        if detector.is_cut(frames[index - 1], frames[index]):
            found.append(index)
    return found


@pytest.mark.parametrize("seed", range(0, 20, 2))
def test_a_cut_between_two_scenes_is_found_at_the_first_new_frame(seed):
    frames = [scene(seed, 2.0 * index) for index in range(6)] + [scene(seed + 1, 2.0 * index) for index in range(6)]
    assert cuts_in(frames) == [6]


def test_a_picture_shown_again_has_not_changed_at_all():
    random = np.random.default_rng(0)  # many shares, of which some add up to more than one
    pictures = [random.integers(0, 256, (64, 85, 3), np.uint8) for _ in range(40)]
    assert all(0 <= histogram_change(picture, picture) < 1e-6 for picture in pictures)
    assert not any(cut_score(picture, picture) for picture in pictures)


@pytest.mark.parametrize("speed", [1, 6, 14])
def test_fast_motion_is_no_cut(speed):
    assert cuts_in(scene(3, speed * index) for index in range(12)) == []


@pytest.mark.parametrize(("gain", "lift"), [(1.4, 0), (0.6, 0), (1.0, 60), (1.5, 40), (0.35, 0), (0.3, 150)])
def test_a_flash_is_no_cut(gain, lift):
    frames = [scene(5, index) for index in range(9)]
    frames[4] = np.clip(frames[4] * gain + lift, 0, 255).astype(np.uint8)
    assert cuts_in(frames) == []


def test_a_flash_that_burns_out_is_no_cut():
    """A camera's flash: one frame overexposed, the next one half."""
    for seed, gain, lift in ((5, 2.2, 60), (11, 1.8, 100), (21, 1.8, 100), (23, 2.2, 60)):
        frames = [scene(seed, index) for index in range(12)]
        for at, (by, more) in {6: (gain, lift), 7: ((1 + gain) / 2, lift / 3)}.items():
            frames[at] = np.clip(frames[at] * by + more, 0, 255).astype(np.uint8)
        assert cuts_in(frames) == [], seed


def test_a_cut_into_a_bright_scene_is_one():
    bright = np.clip(scene(16).astype(int) + 90, 0, 255).astype(np.uint8)
    assert cuts_in([scene(15)] * 5 + [bright] * 5) == [5]


def test_a_dissolve_is_no_cut():
    a, b = scene(7).astype(np.float32), scene(8).astype(np.float32)
    assert cuts_in((a + (b - a) * step / 20).astype(np.uint8) for step in range(21)) == []


def test_a_picture_after_black_is_a_cut():
    assert cuts_in([np.zeros((90, 160, 3), np.uint8)] * 3 + [scene(9)] * 3) == [3]


def test_pictures_without_end_that_never_resemble_are_not_cut_at_every_frame():
    """Confetti, strobe lights: a high score says something only if it stands out."""
    assert len(cuts_in(scene(seed) for seed in range(30))) < 8


def test_shots_of_a_few_frames_are_told_apart():
    frames = [scene(index // 3, index) for index in range(30)]
    assert cuts_in(frames) == list(range(3, 30, 3))
    assert cuts_in([scene(1), scene(1), scene(2), scene(3), scene(3)]) == [2, 3]


def test_scores_stay_between_the_same_picture_and_one():
    a, b = thumbnail(scene(1)), thumbnail(scene(2))
    assert cut_score(a, a) == pytest.approx(0, abs=1e-6)
    assert 0.18 < cut_score(a, b) <= 1


@pytest.mark.parametrize("size", [(64, 64), (47, 300), (1080, 1920), (300, 47), (16, 16)])
def test_thumbnails_have_a_short_side_of_64_pixels(size):
    assert min(thumbnail(np.zeros((*size, 3), np.uint8)).shape[:2]) == 64


def test_frames_of_different_sizes_can_be_compared():
    assert cuts_in([scene(1), scene(1, height=120, width=100)]) in ([], [1])


@pytest.mark.parametrize(
    ("name", "cuts"), [("horses_geese_cut_480p.mp4", [37]), ("kitten_audio_540p.mp4", []), ("highway_vfr_720p.mp4", [])]
)
def test_the_samples_have_the_cuts_that_their_list_tells(footage, name, cuts):
    with open_reader(footage / "samples" / name) as reader:
        assert cuts_in(frame.rgb for frame in reader) == cuts
