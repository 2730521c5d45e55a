import weakref
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.interpolation.rendering import Tally, rendering
from vidcm.core.errors import UserError
from vidcm.interpolation.pictures import to_bytes
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.render import TOGETHER
from vidcm.media.reader import VideoFrame


def grey_frames(count: int, rate: int = 24, step: int = 20) -> list[VideoFrame]:
    """Frame i is grey of the value step * i."""

    def frame(index: int) -> VideoFrame:
        picture = np.full((4, 6, 3), step * index, np.uint8)
        return VideoFrame(index, Fraction(index, rate), Fraction(1, rate), lambda: picture)

    return [frame(index) for index in range(count)]


class CutBefore:
    """A detector that finds cuts where it is told to."""

    def __init__(self, *values: int) -> None:
        self.values = values

    def is_cut(self, before: np.ndarray, after: np.ndarray) -> bool:
        return int(after.flat[0]) in self.values


def test_source_frames_are_passed_on_themselves_and_in_betweens_lie_between(crossfade):
    frames, tally = grey_frames(3), Tally()
    shown = [shown for _, shown, *_ in rendering(Factor(Fraction(2)), crossfade)(frames, tally)]
    assert [shown[0], shown[2], shown[4], shown[5]] == [*frames, frames[2]]
    assert [set(made.flat) for made in (shown[1], shown[3])] == [{10}, {30}]
    assert (tally.frames_in, tally.frames_out, tally.frames_made, tally.cuts) == (3, 6, 2, [])
    assert tally.end == Fraction(3, 24)


def test_the_interpolator_is_told_where_it_stands(crossfade):
    list(rendering(Rate(Fraction(60)), crossfade)(grey_frames(4), Tally()))
    taus = [[0.4, 0.8], [0.2, 0.6], [0.4, 0.8]]
    assert crossfade.calls == [(index, 0, True, True, pytest.approx(taus[index])) for index in range(3)]


def test_nothing_is_blended_across_a_cut(crossfade):
    tally = Tally()
    render = rendering(Factor(Fraction(4)), crossfade, CutBefore(40))
    shown = [shown for _, shown, *_ in render(grey_frames(4), tally)]
    assert crossfade.calls == [
        (0, 0, True, True, [0.25, 0.5, 0.75]),
        (1, 0, True, False, [0.25, 0.5]),  # the nearer end alone; the middle belongs to the shot that is running
        (1, 1, False, True, [0.75]),
        (2, 1, True, True, [0.25, 0.5, 0.75]),
    ]
    assert [int(made.flat[0]) for made in shown[5:8]] == [20, 20, 40]
    assert tally.cuts == [2]


def test_hold_repeats_the_nearer_frame_at_a_cut_and_asks_nobody(crossfade):
    frames = grey_frames(3)
    render = rendering(Factor(Fraction(4)), crossfade, CutBefore(20, 40), at_cuts="hold")
    shown = [shown for _, shown, *_ in render(frames, Tally())]
    assert crossfade.calls == []
    assert shown[:8] == [frames[0]] * 3 + [frames[1]] * 4 + [frames[2]]


def test_each_cut_starts_a_shot(crossfade):
    list(rendering(Factor(Fraction(2)), crossfade, CutBefore(20, 60))(grey_frames(5), Tally()))
    assert [(position, shot) for position, shot, *_ in crossfade.calls] == [(1, 1), (2, 1), (3, 2)]  # 0 is held


def test_what_has_no_motion_to_go_on_with_is_held(crossfade):
    """A shot of one frame, and a frame that is too far off to tell how fast things move."""
    single = rendering(Factor(Fraction(2)), crossfade, CutBefore(20, 40))
    assert [kind for *_, kind, _ in single(grey_frames(3), Tally())] == [
        "source",
        "cut",
        "source",
        "cut",
        "source",
        "end",
    ]
    frames = grey_frames(3)
    frames[2].instant = Fraction(5, 24)
    late = rendering(Factor(Fraction(2)), crossfade, CutBefore(40))
    assert [kind for *_, kind, _ in late(frames, Tally())] == ["source", "made", "source", "cut", "source", "end"]
    assert crossfade.calls == [(0, 0, True, True, [0.5])]


def test_the_frames_next_to_a_pair_are_shown_too_as_far_as_they_are_of_its_shot(crossfade):
    list(rendering(Factor(Fraction(2)), crossfade, CutBefore(60))(grey_frames(6), Tally()))
    grey = [
        tuple(None if frame is None else round(255 * frame.mean().item()) for frame in (around.before, around.after))
        for around in crossfade.around
    ]
    assert [position for position, *_ in crossfade.calls] == [0, 1, 2, 3, 4]
    assert grey == [(None, 40), (0, None), (20, None), (None, 100), (60, None)]  # frame 3 starts a shot


def test_at_a_cut_either_side_is_shown_its_own_shot_alone(crossfade):
    list(rendering(Factor(Fraction(4)), crossfade, CutBefore(60))(grey_frames(6), Tally()))
    at_cut = [(call[2:4], a) for call, a in zip(crossfade.calls, crossfade.around, strict=True) if call[0] == 2]
    grey = [
        (ends, *(None if x is None else round(255 * x.mean().item()) for x in (a.before, a.after)))
        for ends, a in at_cut
    ]
    assert grey == [((True, False), 20, None), ((False, True), None, 80)]


def test_what_came_before_the_frames_is_shown_unless_a_cut_lies_between(crossfade):
    lead_in, *frames = grey_frames(4)
    list(rendering(Factor(Fraction(2)), crossfade)(frames, Tally(), lead_in))
    assert crossfade.around[0].before.mean().item() == 0
    for told in crossfade.around[1:]:
        assert told.before.mean().item() > 0
    asked = []

    class Cuts(CutBefore):
        def is_cut(self, before, after):
            asked.append(int(after.flat[0]))
            return super().is_cut(before, after)

    crossfade.around.clear()
    list(rendering(Factor(Fraction(2)), crossfade, Cuts(20))(frames, Tally(), lead_in))
    assert crossfade.around[0].before is None
    assert asked == [20, 40, 60]  # in order


def test_how_far_off_they_are_is_told_in_units_of_the_pair(crossfade):
    ticks = [0, 1, 3, 4, 8]
    frames = grey_frames(5)
    for frame, tick in zip(frames, ticks, strict=True):
        frame.instant = Fraction(tick)
    list(rendering(Factor(Fraction(2)), crossfade)(frames, Tally()))
    assert [(around.lead, around.trail) for around in crossfade.around] == [(1, 2), (0.5, 0.5), (2, 4), (0.25, 1)]


def test_a_long_gap_is_made_in_parts(crossfade):
    frames = grey_frames(2, rate=1)
    shown = list(rendering(Rate(Fraction(60)), crossfade)(frames, Tally()))
    assert [round(60 * tau) for call in crossfade.calls for tau in call[4]] == list(range(1, 60))
    assert max(len(call[4]) for call in crossfade.calls) <= TOGETHER
    assert len(shown) == 120


def test_only_a_gap_and_the_frames_next_to_it_are_kept(crossfade):
    alive = weakref.WeakSet()

    def frames():
        for frame in grey_frames_one_by_one():
            alive.add(frame)
            yield frame

    def grey_frames_one_by_one():
        for index in range(30):
            yield VideoFrame(index, Fraction(index), Fraction(1), lambda: np.zeros((4, 6, 3), np.uint8))

    most = 0
    for _ in rendering(Factor(Fraction(3)), crossfade)(frames(), Tally()):
        most = max(most, len(alive))
    assert most <= 4


def test_values_are_rounded_and_held_in_range():
    made = torch.tensor([-0.2, 0.0, 0.5 / 255 + 1e-4, 1.0, 1.7]).expand(3, 1, 2, 5)
    assert to_bytes(made).shape == (1, 2, 5, 3)
    assert to_bytes(made)[0, 0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(value):
    with pytest.raises(UserError, match="not numbers"):
        to_bytes(torch.full((3, 1, 2, 2), value))
