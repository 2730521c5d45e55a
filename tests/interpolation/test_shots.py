"""A flash that looks like a cut on both of its sides is none, and whatever else looks like one is."""

from fractions import Fraction

import numpy as np
import pytest

from tests.interpolation.rendering import Tally, rendering
from tests.media.scenes import scene
from vidcm.interpolation.looked import Looked
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.shots import Shots
from vidcm.interpolation.survey import survey
from vidcm.media.reader import VideoFrame
from vidcm.media.shots import CutDetector

WHITE = np.full((90, 160, 3), 255, np.uint8)


def frames(pictures) -> list[VideoFrame]:
    return [
        VideoFrame(index, Fraction(index, 24), Fraction(1, 24), lambda rgb=rgb: rgb)
        for index, rgb in enumerate(pictures)
    ]


def shot(seed: int = 5, count: int = 9) -> list[np.ndarray]:
    return [scene(seed, 2.0 * index) for index in range(count)]


def burnt_out(*at: int) -> list[np.ndarray]:
    return [WHITE if index in at else picture for index, picture in enumerate(shot())]


def rolling() -> list[np.ndarray]:
    """The lower rows of one frame and the upper ones of the next are burnt out."""
    pictures = shot()
    pictures[4][45:], pictures[5][:45] = 255, 255
    return pictures


def partly() -> list[np.ndarray]:
    pictures = shot()
    pictures[4][25:] = 255
    return pictures


def told(pictures, detector, known=frozenset()):
    shots = list(Shots(detector, frozenset(known)).told(map(Looked, frames(pictures))))
    assert [each.frame.frame.index for each in shots] == list(range(len(pictures)))
    return tuple([index for index, each in enumerate(shots) if each[kind]] for kind in (1, 2))


@pytest.mark.parametrize(
    ("pictures", "lit"), [(burnt_out(4), [4]), (burnt_out(4, 5), [4, 5]), (rolling(), [4, 5]), (partly(), [4])]
)
def test_in_betweens_beside_a_flash_that_looks_like_a_cut_are_made_across_it(pictures, lit, crossfade):
    looks_cut, cuts = told(pictures, CutDetector())
    assert looks_cut  # or there would be nothing to pass over
    assert cuts == []
    tally = Tally()
    made = list(rendering(Factor(Fraction(2)), crossfade, CutDetector())(frames(pictures), tally))
    assert (tally.flashes, tally.cuts) == (lit, [])
    kinds = ["flash" if index in lit else "source" for index in range(9)]
    assert [each.kind for each in made[::2]] == kinds
    assert {each.kind for each in made[1:-2:2]} == {"made"}
    unlit = max(picture.mean() for picture in shot())
    assert all(each.shown.mean() < unlit + 1 for each in made if each.kind == "made")
    assert {call[1] for call in crossfade.calls} == {0}  # one shot


@pytest.mark.parametrize(
    ("pictures", "cuts"),
    [
        ([*shot(5, 4), WHITE, *shot(6, 4)], [4, 5]),  # white frames between two shots
        (shot(5, 4) + [WHITE] * 3 + shot(5, 9)[4:], [4, 7]),  # and those that stay
        (shot(5, 4) + shot(6, 1) + shot(5, 9)[5:], [4, 5]),  # another picture of the same light
        ([WHITE, *shot(5, 4), *shot(6, 4)], [1, 5]),
        ([*shot(5, 1), WHITE, *shot(5, 4)], [1, 2]),  # no frame tells whether light was steady
        ([WHITE if index % 2 else picture for index, picture in enumerate(shot())], [1, 2, 3, 4]),  # a strobe
    ],
)
def test_other_cuts_stay(pictures, cuts):
    looks_cut, found = told(pictures, CutDetector())
    assert found == looks_cut
    assert found[: len(cuts)] == cuts


@pytest.mark.parametrize("known", [{4}, {5}, {4, 5}])
def test_who_says_that_a_flash_is_a_cut_is_believed(known):
    assert told(burnt_out(4), CutDetector(), known) == ([4, 5], [4, 5])
    assert told(burnt_out(4), None, known) == (sorted(known), sorted(known))


def test_looking_ahead_for_repairs_tells_of_the_same_shots():
    pictures = burnt_out(4) + shot(6)
    seen = survey(frames(pictures), Fraction(1, 24), CutDetector())
    assert seen.cuts == {9}
    assert survey(frames(pictures), Fraction(1, 24), CutDetector(), frozenset({5})).cuts == {4, 5, 9}


def test_a_flash_in_animation_on_twos_hides_no_repeat():
    """Against a flash, as big a change as there is, motion would be a halt that lasts for the rest of the shot."""
    pictures = [picture for index in range(10) for picture in 2 * [scene(5, 0.3 * index)]]
    pictures[8] = pictures[9] = WHITE
    seen = survey(frames(pictures), Fraction(1, 24), CutDetector())
    assert seen.cuts == set()
    assert {int(24 * instant) for instant in seen.retiming.repeats} >= {3, 5, 11, 13, 15, 17}


def test_a_shot_does_not_begin_with_a_flash():
    """What was before it is of another shot, and says nothing of how steady light is."""

    class Cuts:
        def is_cut(self, before, after):
            return abs(int(after.flat[0]) - int(before.flat[0])) > 3

    grey = [np.full((64, 64, 3), value, np.uint8) for value in (40, 42, 48, 200, 49, 50)]
    assert told(grey, Cuts()) == ([2, 3, 4], [2, 3, 4])
    grey[2][:] = 44
    grey[4][:] = 46
    assert told(grey, Cuts()) == ([3, 4, 5], [5])


def test_a_part_that_begins_at_a_cut_sees_nothing_before_it(crossfade):
    pictures = frames(shot(5, 4) + shot(6, 4))
    list(rendering(Factor(Fraction(2)), crossfade, CutDetector())(pictures[4:], Tally(), pictures[3]))
    assert crossfade.around[0].before is None
    list(rendering(Factor(Fraction(2)), crossfade, CutDetector())(pictures[2:], Tally(), pictures[1]))
    assert crossfade.around[4].before is not None


def test_no_more_is_read_ahead_than_a_flash_lasts():
    """Of what is steady nothing is; memory stays flat."""
    pulled: list[int] = []

    def coming():
        for looked in map(Looked, frames(burnt_out(4))):
            pulled.append(looked.frame.index)
            yield looked

    ahead = [len(pulled) - 1 - each.frame.frame.index for each in Shots(CutDetector()).told(coming())]
    assert ahead == [0, 0, 0, 0, 1, 0, 0, 0, 0]
