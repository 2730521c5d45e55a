"""A flash is told from what is around it, and nothing else is taken for one."""

import numpy as np
import pytest

from vidcm.media.flash import is_flash, jumps, levels_of

PICTURE = np.random.default_rng(0).integers(30, 120, (36, 64, 3)).astype(np.float32)


def levels(gain: float = 1.0, lift: float = 0.0, rows: slice = slice(None)) -> np.ndarray:
    picture = PICTURE.copy()
    picture[rows] = gain * picture[rows] + lift
    return levels_of(picture.clip(0, 255).astype(np.uint8))


def told(previous, before, *lit_and_behind) -> bool:
    *lit, behind = lit_and_behind
    return is_flash(previous, before, lit, behind)


AS_IT_IS = levels()


@pytest.mark.parametrize(
    "lit",
    [
        [levels(1.4)],
        [levels(3, 60)],
        [levels(0.5)],
        [levels(1.8), levels(1.3)],
        [levels(1.8, 40, slice(18, None)), levels(1.8, 40, slice(18))],
    ],
)
def test_one_frame_or_two_that_are_lit_are_a_flash(lit):
    assert told(AS_IT_IS, AS_IT_IS, *lit, AS_IT_IS)
    assert told(levels(0.98), AS_IT_IS, *lit, levels(1.02))


def test_light_that_stays_or_comes_slowly_or_again_and_again_is_none():
    lit = levels(1.8)
    assert not told(AS_IT_IS, AS_IT_IS, lit, lit)  # exposure, explosion
    assert not told(AS_IT_IS, AS_IT_IS, lit, levels(1.5))
    assert not told(levels(1.2), levels(1.4), levels(1.6), levels(1.8))  # fade
    assert not told(lit, AS_IT_IS, lit, AS_IT_IS)  # strobe
    assert not told(AS_IT_IS, AS_IT_IS, lit, levels(0.5), AS_IT_IS)  # one up, one down
    assert not told(AS_IT_IS, AS_IT_IS, levels(1.1), AS_IT_IS)  # too little to be seen as a flash


def test_a_black_gap_is_none_and_neither_is_what_covers_a_part():
    assert not told(AS_IT_IS, AS_IT_IS, levels(0.1), AS_IT_IS)
    assert not told(AS_IT_IS, AS_IT_IS, levels(0, 250, slice(10)), AS_IT_IS)


def test_without_a_frame_before_those_around_it_nothing_is_told():
    """A strobe may begin there."""
    assert not told(None, AS_IT_IS, levels(1.8), AS_IT_IS)


def test_what_is_told_of_one_frame_leaves_none_beside_it_to_be_told():
    """So that parts of a file need not know what was told before them."""
    row = [AS_IT_IS, AS_IT_IS, levels(1.8), AS_IT_IS, AS_IT_IS, AS_IT_IS]
    assert [jumps(*row[first : first + 3]) for first in range(4)] == [True, False, False, False]
