"""Repeats give way to in-betweens of the distinct frames, at the instants that were planned."""

from fractions import Fraction

import numpy as np
import pytest

from tests.interpolation.rendering import Tally, rendering
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.retime import Retiming
from vidcm.media.reader import VideoFrame

RATE = 24
DOUBLE = Factor(Fraction(2))


def repeating(*numbers: int) -> list[VideoFrame]:
    """Frames at RATE that show pictures 0, 1, 2 ..., picture i grey of the value 20 i."""
    pictures, made = [np.full((4, 6, 3), 20 * number, np.uint8) for number in range(max(numbers) + 1)], []
    for index, number in enumerate(numbers):
        rgb = pictures[number]
        made.append(VideoFrame(index, Fraction(index, RATE), Fraction(1, RATE), lambda rgb=rgb: rgb))
    return made


class CutBefore:
    """A detector that finds a cut before pictures of a grey value."""

    def __init__(self, value: int) -> None:
        self.value = value

    def is_cut(self, before: np.ndarray, after: np.ndarray) -> bool:
        return int(after.flat[0]) == self.value != int(before.flat[0])


def repeats_of(frames: list[VideoFrame], **more) -> Retiming:
    same = [index for index in range(1, len(frames)) if frames[index].rgb is frames[index - 1].rgb]
    return Retiming(frozenset(frames[index].instant for index in same), **more)


def rendered(frames, crossfade, rule=DOUBLE, detector=None, **how):
    """(instant in frames, grey value, kind) of every output frame, and the tally."""
    tally, told = Tally(), []
    renderer = rendering(rule, crossfade, detector, "hold", **how)
    for planned, shown, kind, _ in renderer(frames, tally):
        value = shown.rgb.flat[0] if isinstance(shown, VideoFrame) else shown.flat[0]
        told.append((float(planned.instant * RATE), int(value), kind))
    return told, tally


@pytest.mark.parametrize("rule", [DOUBLE, Rate(Fraction(2 * RATE))])
def test_animation_on_twos_moves_evenly(crossfade, rule):
    frames = repeating(0, 0, 1, 1, 2, 2, 3)
    told, tally = rendered(frames, crossfade, rule, retiming=repeats_of(frames))
    assert [instant for instant, _, _ in told] == [k / 2 for k in range(14)]
    assert [value for _, value, _ in told] == [*range(0, 61, 5), 60]
    assert [kind for _, _, kind in told[::4]] == ["source"] * 4
    assert (tally.frames_in, tally.repeats, tally.frames_out, tally.frames_made) == (7, 3, 14, 9)
    assert tally.end == Fraction(7, RATE)


def test_a_rate_of_its_own_may_be_mended_without_another(crossfade):
    frames = repeating(0, 1, 1, 3, 4)
    told, _ = rendered(frames, crossfade, Rate(Fraction(RATE)), retiming=repeats_of(frames))
    assert told == [(0, 0, "source"), (1, 20, "source"), (2, 40, "made"), (3, 60, "source"), (4, 80, "source")]
    assert crossfade.calls == [(1, 0, True, True, [0.5])]


def test_the_frames_around_a_pair_are_the_distinct_ones_at_their_distance(crossfade):
    frames = repeating(0, 1, 1, 1, 2, 2, 3)
    rendered(frames, crossfade, retiming=repeats_of(frames))
    around = crossfade.around[1]  # of the pair 1, 2, which is three frames long
    assert (around.lead, around.trail) == (Fraction(1, 3), Fraction(2, 3))
    assert [round(float(frame.flatten()[0]) * 255) for frame in (around.before, around.after)] == [0, 60]


def test_what_a_cut_or_the_end_follows_is_shown_as_it_is(crossfade):
    frames = repeating(0, 1, 1, 5, 6, 6)
    told, tally = rendered(frames, crossfade, detector=CutBefore(100), retiming=repeats_of(frames))
    assert told[2:6] == [(1, 20, "source"), (1.5, 20, "made"), (2, 20, "source"), (2.5, 20, "cut")]
    assert told[6:8] == [(3, 100, "source"), (3.5, 110, "made")]
    assert told[8:] == [(4, 120, "source"), (4.5, 120, "made"), (5, 120, "source"), (5.5, 120, "end")]
    assert (tally.cuts, tally.repeats) == ([3], 0)


def test_pictures_are_shown_by_when_they_were_taken(crossfade):
    """24 a second in 30: picture k was taken at 5/4 k frames and is shown from the next whole one on."""
    numbers = [4 * index // 5 for index in range(16)]
    frames = repeating(*numbers)
    first_shown = {number: frames[numbers.index(number)].instant for number in numbers}
    moments = {instant: Fraction(5 * number, 4 * RATE) for number, instant in first_shown.items()}
    told, _ = rendered(frames, crossfade, Rate(Fraction(RATE)), retiming=repeats_of(frames, moments=moments))
    assert [instant for instant, _, _ in told] == list(range(16))
    for instant, value, _ in told[:15]:
        assert value == pytest.approx(20 * instant * 4 / 5, abs=1.3)  # within 1/16 of a source frame it is shown itself
    assert told[5][1:] == (80, "source")


def test_just_before_a_moment_that_was_worked_out_its_picture_is_shown_already(crossfade):
    frames = repeating(0, 1, 1, 2, 3)
    moments = {frames[3].instant: Fraction(2 * 32 + 1, 32 * RATE)}
    told, _ = rendered(frames, crossfade, Rate(Fraction(RATE)), retiming=repeats_of(frames, moments=moments))
    assert told[:3] == [(0, 0, "source"), (1, 20, "source"), (2, 40, "source")]


def test_parts_show_what_the_whole_shows(crossfade):
    frames = repeating(0, 0, 1, 1, 1, 2, 3, 3, 4, 5)
    retiming = repeats_of(frames)
    whole, _ = rendered(frames, crossfade, retiming=retiming)
    stop = frames[4].instant
    first, tally = rendered(frames, crossfade, retiming=retiming, stop=stop)
    assert (tally.frames_in, tally.end, tally.repeats) == (4, stop, 2)
    second, tally = rendered(frames[2:], crossfade, retiming=retiming, start=stop)  # from what its first one repeats
    assert (tally.frames_in, tally.end, tally.repeats) == (6, Fraction(10, RATE), 2)
    assert first + second == whole
