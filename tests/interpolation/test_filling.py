"""In the place of a damaged or missing frame stands the last sound one."""

from fractions import Fraction

import numpy as np

from vidcm.interpolation.filling import StandIn, filled
from vidcm.media.reader import VideoFrame

BOTH = frozenset({"dropped", "damaged"})


def frame(number: int, *, is_damaged: bool = False) -> VideoFrame:
    """Frame `number` of one a second, of its grey."""
    made = VideoFrame(number, Fraction(number), Fraction(1), lambda: np.full((2, 2, 3), number, np.uint8))
    made.is_damaged, made.native = is_damaged, None
    return made


def told(frames, places=(), repair=BOTH):
    """(instant, what is shown, whether it stands in) of each frame, and the instants noted."""
    noted = []
    made = [
        (int(each.instant), int(each.rgb.flat[0]), isinstance(each, StandIn))
        for each in filled(frames, places, repair, noted.append)
    ]
    return made, noted


def test_missing_and_damaged_frames_show_the_last_sound_one():
    frames = [frame(0), frame(1), frame(3, is_damaged=True), frame(4, is_damaged=True), frame(6)]
    made, noted = told(frames, map(Fraction, range(7)))
    assert made == [(0, 0, False), (1, 1, False), *((at, 1, True) for at in (2, 3, 4, 5)), (6, 6, False)]
    assert noted == [2, 3, 4, 5]


def test_before_the_first_sound_frame_it_is_that_one():
    made, noted = told([frame(0, is_damaged=True), frame(1, is_damaged=True), frame(2)], map(Fraction, range(-1, 3)))
    assert made == [(0, 2, True), (1, 2, True), (2, 2, False)]
    assert noted == [0, 1]


def test_a_file_without_a_sound_frame_stays_as_it_is():
    frames = [frame(0, is_damaged=True), frame(1, is_damaged=True)]
    assert list(filled(frames, map(Fraction, range(2)), BOTH)) == frames


def test_damage_is_left_where_it_is_not_to_be_repaired():
    frames = [frame(0), frame(1, is_damaged=True)]
    assert list(filled(frames, [], frozenset({"duplicates"}))) == frames


def test_places_that_have_their_frame_get_no_other():
    frames = [frame(number) for number in range(5)]
    assert list(filled(frames, map(Fraction, range(5)), BOTH)) == frames
