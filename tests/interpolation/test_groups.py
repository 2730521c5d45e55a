"""What forms an overlay: groups with change on both sides, beside which nothing passes in front of what rests."""

import numpy as np
import pytest

from vidcm.interpolation.groups import AHEAD, BETWEEN, DOUBTED, LATELY, overlay_in
from vidcm.media.overlays import Evidence

SHAPE, GROUP, BESIDE = (60, 80), np.s_[20:40, 40:50], np.s_[10:50, 24:35]
NEVER = np.inf


def plane(value: float, *places: tuple[object, float]) -> np.ndarray:
    """Of one value, and others in some places."""
    made = np.full(SHAPE, value, np.float32)
    for place, other in places:
        made[place] = other
    return made


def frames(share: float, gone: float = NEVER, age: float = 20, place=GROUP) -> list[Evidence]:
    """Of which the first is judged. share: of the votes, with change on both sides; gone: beside the group, then."""
    votes = plane(0, (place, 6))
    return [
        Evidence(votes, plane(age + by), votes > -1, plane(20), plane(1), plane(6), share * votes, ring)
        for by in range(AHEAD + 1)
        for ring in [plane(NEVER, (BESIDE, gone + by if gone + by >= 0 else NEVER))]
    ]


def is_held(evidence) -> bool:
    known = overlay_in(evidence)
    return known is not None and bool((known[GROUP] > 0.5).any())


def test_a_few_places_that_lie_still_are_chance():
    """Three by three sure ones, and four by four, in the same frames."""
    three, four = (frames(1.0, place=place) for place in (np.s_[20:23, 20:23], np.s_[40:44, 60:64]))
    both = [
        one._replace(votes=one.votes + two.votes, between=one.between + two.between)
        for one, two in zip(three, four, strict=True)
    ]
    known = overlay_in(both)
    assert known is not None
    assert known[41:43, 61:63].min() == 1
    assert known[:30].max() == 0


@pytest.mark.parametrize("gone", [NEVER, 5], ids=["alone", "passed"])
def test_a_group_without_change_on_both_sides_is_ground(gone):
    assert not is_held(frames(0.5 * BETWEEN, gone))


@pytest.mark.parametrize("gone", [12, 0, -3], ids=["before", "now", "soon"])
def test_a_group_beside_which_something_passes_in_front_has_to_have_more_of_it(gone):
    assert is_held(frames((BETWEEN + DOUBTED) / 2))
    assert not is_held(frames((BETWEEN + DOUBTED) / 2, gone))
    assert is_held(frames(1.1 * DOUBTED, gone))


def test_what_passed_long_ago_is_nothing_against_a_group():
    assert is_held(frames((BETWEEN + DOUBTED) / 2, LATELY))


def test_a_line_that_goes_goes_whole_and_is_held_until_then():
    line = frames((BETWEEN + DOUBTED) / 2)
    gone = [each._replace(age=plane(by - 2), gone=plane(NEVER, (GROUP, by - 3))) for by, each in enumerate(line)]
    assert is_held(line[:3] + gone[3:])


def test_what_only_stays_belongs_to_a_group_as_long_as_it_shares_its_fate():
    """Ground that the next but one covers is not held; else what comes would be cut off in the gap before it."""
    covered = np.s_[20:40, 52:56]
    alone = frames(1.0)
    other = [each._replace(age=plane(20, (covered, by - 1))) if by > 1 else each for by, each in enumerate(alone)]
    assert overlay_in(alone)[covered].min() == 1
    assert overlay_in(other)[22:38, 53:56].max() < 0.5
    assert overlay_in(other)[GROUP].min() == 1
