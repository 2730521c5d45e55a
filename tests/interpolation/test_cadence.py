"""What was fitted to another rate goes back to even times; what was lost stays lost where it was."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from vidcm.interpolation.cadence import moments

FRAME = Fraction(1, 30)


def starts(frames_each: Fraction, count: int = 80) -> list[int]:
    """Frame in which each of `count` pictures is first shown, if one comes every `frames_each` frames."""
    return [math.ceil(index * frames_each) for index in range(count)]


def taken(shown: list[int], motion) -> list[float]:
    """When each picture was taken, in frames."""
    instants = [1 + index * FRAME for index in shown]
    found = moments(instants, list(motion), FRAME)
    return [float((found.get(instant, instant) - 1) / FRAME) for instant in instants]


@pytest.mark.parametrize(
    ("each", "within"),
    [
        (Fraction(5, 4), 0.08),
        (Fraction(5, 2), 0.08),
        (Fraction(6, 5), 0.08),
        (Fraction(3, 2), 0.08),
        (Fraction(25, 24), 0.25),  # few repeats are in view at a time
    ],
)
def test_pictures_of_another_rate_come_at_even_times(each, within):
    shown = starts(each)
    random = np.random.default_rng(0)
    times = taken(shown, random.uniform(0.8, 1.2, len(shown) - 1))
    uneven = np.abs(np.diff(times) - float(each))
    assert uneven.max() < 0.3 * np.abs(np.diff(shown) - float(each)).max()
    assert uneven[24:-24].max() < within  # frames; where both sides are seen
    assert all(index - 1 < time <= index for time, index in zip(times, shown, strict=True))


def test_a_picture_that_was_lost_leaves_the_others_where_they_are():
    shown = [index for index in range(40) if index not in (9, 17, 18, 30)]
    assert taken(shown, np.diff(shown)) == shown


@pytest.mark.parametrize("each", [1, 2, 3])
def test_even_pictures_stay(each):
    shown = starts(Fraction(each), 30)
    assert taken(shown, [1.0] * 29) == shown


def test_where_little_moves_nothing_is_told_by_it():
    shown = starts(Fraction(5, 4), 30)
    assert taken(shown, [0.01] * 29) == shown


def test_pictures_keep_their_order_where_the_cadence_changes():
    shown = starts(Fraction(5, 4), 40)
    shown += [shown[-1] + 1 + index for index in range(60) if index % 17]
    motion = [1.0] * 39 + list(np.diff(shown[39:]))
    times = taken(shown, motion)
    assert all(before < after for before, after in pairwise(times))
