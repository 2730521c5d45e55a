"""What counts as a line that comes or goes: it changes all at once, and lies still before or after."""

import cv2
import numpy as np
import pytest

from vidcm.media.switches import LONG, moment_of, switched

SIZE, PLACE = (160, 240), (slice(60, 95), slice(60, 200))


def ground(shift: float = 0) -> np.ndarray:
    """float32 luma: soft blobs, `shift` pixels to the left."""
    wide = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(SIZE[0], 480)).astype(np.float32), (0, 0), 6)
    wide = 128 + 15 * wide / wide.std()
    return cv2.warpAffine(wide, np.float32([[1, 0, -shift], [0, 1, 0]]), SIZE[::-1])


def titled(luma: np.ndarray, text: str) -> np.ndarray:
    mask = cv2.putText(np.zeros(SIZE, np.uint8), text, (70, 85), cv2.FONT_HERSHEY_DUPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return luma + mask / np.float32(255) * (250 - luma)


def held(pictures) -> dict[int, np.ndarray]:
    """Frame from which on something is held -> where, bool [h, w]."""
    moments = [None]
    for picture in pictures:
        moments.append(moment_of(picture.round().clip(0, 255).astype(np.uint8), moments[-1]))
    windows = (moments[index : index + LONG + 3] for index in range(len(moments) - 1))
    found = enumerate(switched(before, window) for before, *window in windows)
    return {index: places > 0.5 for index, places in found if places is not None}


@pytest.mark.parametrize("speed", [0, 2])
@pytest.mark.parametrize(("before", "after"), [("TITLE", "OTHER"), ("TITLE", ""), ("", "OTHER")])
def test_a_line_is_held_that_comes_goes_or_gives_way_to_another(speed, before, after):
    noise = np.random.default_rng(1)
    pictures = [titled(ground(speed * index), before if index < 12 else after) for index in range(24)]
    found = held(picture + noise.normal(0, 1, SIZE) for picture in pictures)
    assert list(found) == [11]
    letters = np.abs(titled(ground(), before) - titled(ground(), after)) > 60
    assert found[11][letters].mean() > 0.9
    found[11][PLACE] = False
    assert not found[11].any()


@pytest.mark.parametrize("pause", [1, 3])
def test_a_short_pause_between_two_lines_has_two_changes(pause):
    lines = ["TITLE"] * 12 + [""] * pause + ["OTHER"] * 12
    assert list(held(titled(ground(), line) for line in lines)) == ([11, 11 + pause] if pause > 1 else [])


def test_what_moves_leaves_what_is_behind_it_a_piece_at_a_time():
    def picture(index: int) -> np.ndarray:
        shown = titled(ground(), "TITLE")
        shown[50:100, 8 * index : 8 * index + 40] = 30
        return shown

    assert held(map(picture, range(30))) == {}


def test_a_flash_is_no_line_and_neither_is_light():
    lines = [titled(ground(), "TITLE") for _ in range(24)]
    flash, dimmed = (
        [each.copy() for each in lines],
        [0.5 * each if index > 11 else each for index, each in enumerate(lines)],
    )
    flash[12] = 0.3 * flash[12] + 0.7 * 255
    assert held(flash) == {}
    assert held(dimmed) == {}


def test_a_line_that_fades_in_is_blended():
    shown = (
        ground() + min(1, max(0, (index - 8) / 16)) * (titled(ground(), "TITLE") - ground()) for index in range(32)
    )
    assert held(shown) == {}


def test_what_was_seen_before_the_last_frames_plays_no_part():
    """A part of a file is judged as in the whole."""
    pictures = [titled(ground(index % 7), "TITLE" if index < 20 else "OTHER") for index in range(14)]
    pictures += [titled(ground(), "TITLE" if index < 6 else "OTHER") for index in range(16)]
    whole = held(pictures)
    assert list(whole) == [19]
    part = held(pictures[20 - LONG - 1 :])
    np.testing.assert_array_equal(part[LONG], whole[19])


def test_where_the_size_changes_nothing_is_compared():
    small = [titled(ground(), "TITLE")] * 8
    assert held([*small, *(cv2.resize(each, (120, 90)) for each in small)]) == {}
