"""What counts as a thin line that stays: it is at both ends of a gap, and in all frames before or after."""

import numpy as np
import pytest

from vidcm.media.lines import LONG, still_lines, traced
from vidcm.media.switches import moment_of

SIZE, LINE = (120, 200), (slice(20, 100), 90)  # an upright one


def ground(shift: int) -> np.ndarray:
    """float32 luma: a level ground, and rectangles that move to the right."""
    shown = np.full(SIZE, 110, np.float32)
    for left in range(-600, 200, 24):
        shown[45:65, max(0, left + shift) : max(0, left + shift + 12)] = 60
    return shown


def lined(luma: np.ndarray, opacity: float = 0.5, by: int = 0) -> np.ndarray:
    rows, column = LINE
    luma[rows, column + by] += opacity * (255 - luma[rows, column + by])
    return luma


def held(pictures) -> list[np.ndarray | None]:
    """Of each gap."""
    moments, traces = [None], [None]
    for picture in pictures:
        luma = picture.round().astype(np.uint8)
        moments.append(moment_of(luma, moments[-1]))
        traces.append(traced(luma, traces[-1]))
    gaps = range(1, len(traces) - 1)
    return [still_lines(traces[index : index + LONG], moments[index + 1].step) for index in gaps]


@pytest.mark.parametrize("opacity", [0.5, 1.0])
def test_a_thin_line_before_what_moves_is_held_from_the_first_frame_to_the_last(opacity):
    for found in held(lined(ground(4 * index), opacity) for index in range(12)):
        assert found[50:60, LINE[1]].all()
        found[:, LINE[1]] = 0
        assert not found.any()


def test_lines_along_which_a_camera_moves_are_not_held():
    texture = np.random.default_rng(0).uniform(80, 120, (SIZE[0], 400)).astype(np.float32)
    texture[60] = 220
    assert held(texture[:, 4 * index :][:, : SIZE[1]].copy() for index in range(12)) == [None] * 11


def test_nothing_is_held_where_nothing_changes():
    assert held(lined(ground(0)) for _ in range(10)) == [None] * 9


@pytest.mark.parametrize("speed", [1, 4])
def test_a_line_that_moves_is_not_held(speed):
    assert held(lined(ground(4 * index), by=speed * index) for index in range(12)) == [None] * 11


def test_a_line_is_not_held_that_something_passes_in_front_of():
    def passed(index: int) -> np.ndarray:
        shown = lined(ground(0))
        shown[40:70, 8 * index : 8 * index + 30] = 60
        return shown

    for index, found in enumerate(held(passed(index) for index in range(24))):
        both_ends_are_free = not any(8 * each - 2 <= LINE[1] < 8 * each + 32 for each in (index, index + 1))
        assert found is None or both_ends_are_free or not found[45:65, LINE[1]].any()


def test_what_is_seen_for_a_few_frames_is_not_held():
    shown = (lined(ground(4 * index)) if 8 <= index < 8 + LONG - 1 else ground(4 * index) for index in range(24))
    assert held(shown) == [None] * 23


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (4, 40)])
def test_the_smallest_pictures_have_no_lines(size):
    trace = traced(np.zeros(size, np.uint8), None)
    assert still_lines([trace, trace], np.ones(size, np.float32)) is None
