"""Which places of a frame form overlays, by the evidence of it and of the frames after it.

Two things tell an overlay from ground that stays beside something that moves. What moves goes on behind an overlay, so
many of its votes are cast with change on both sides; ground has it on one, and more ground on the other. And nothing
passes in front of an overlay: where much that was at rest beside a group gave way all at once, the group may be ground
as well, and more of its votes have to be cast so. What only stays, near places that are sure, belongs to them as long
as it shares their fate.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np

from vidcm.interpolation.found import JOINED
from vidcm.media.overlays import DETAIL, Evidence

AHEAD = 6  # frames: what stays for fewer is not known for an overlay
FEW = 12  # sure places within JOINED of one another: fewer are chance, too
ALONE = 0.1  # share of its surroundings of 5 pixels: fewer sure places are chance
NEAR = np.ones((17, 17))  # around what is known for sure: what only stays is taken for the same,
STIRRED = 2.0  # where things moved around it for so many of the last frames
BETWEEN, DOUBTED = 0.07, 0.3  # share of the votes cast with change on both sides: of a group, of one that is doubted
PASSED = 0.7  # times as many places as the group has: so many give way beside one that is doubted
EDGE = np.ones((9, 9))  # around a place: what flickers with it; and around a group: what is beside it
LATELY = 100  # frames for which that counts


class _Same(NamedTuple):
    """A picture so many after the first, and where it shows the same as that one."""

    ahead: int
    evidence: Evidence
    is_same: np.ndarray


def overlay_in(evidence: Sequence[Evidence]) -> np.ndarray | None:
    """How much each place belongs to an overlay, float32 0..1 [h, w]; None: nothing.

    evidence: of a frame and of those after it, of one size."""
    coming = list(_same(evidence))
    sure = _most(each.sureness * is_same for _, each, is_same in coming)
    seeds = (sure > 0.5).astype(np.float32)
    seeds *= cv2.blur(seeds, (5, 5)) > ALONE
    seeds = _in_company(seeds, coming) if seeds.any() else seeds
    if not seeds.any():
        return None
    return cv2.blur(np.maximum(seeds, _like(seeds, coming)), (3, 3))


def _same(evidence: Sequence[Evidence]) -> Iterator[_Same]:
    """Pictures from the first on: one that is shown again is no other."""
    now, *later = evidence
    yield _Same(0, now, now.is_there)
    ahead, before = 0, now
    for then in later:
        if then.age.shape != now.age.shape:
            return
        if then is not before:
            ahead, before = ahead + 1, then
            yield _Same(ahead, then, then.age > ahead)


def _like(seeds: np.ndarray, coming: Sequence[_Same]) -> np.ndarray:
    """What only stays near them for as long as they do, or is level between them, where things moved: 0 or 1."""
    lasts, rests = (
        _most(ahead * each for ahead, each in both)
        for both in (
            [(ahead, is_same) for ahead, _, is_same in coming],
            [(ahead, each.rest > ahead) for ahead, each, _ in coming],
        )
    )
    left = cv2.erode(np.where(seeds > 0, lasts, np.inf).astype(np.float32), NEAR)
    stays = _most(is_same & (each.age > AHEAD) & (each.detail > DETAIL) for _, each, is_same in coming)
    is_level = _most((each.rest > ahead) & (each.rest > AHEAD) for ahead, each, _ in coming)
    inside = is_level & (cv2.morphologyEx(seeds, cv2.MORPH_CLOSE, NEAR) > 0) & (rests + 1 >= left)
    is_stirred = _most(each.stir for _, each, _ in coming) > STIRRED
    return ((stays & (lasts >= left) | inside) & is_stirred).astype(np.float32)


def _most(planes: Iterable[np.ndarray]) -> np.ndarray:
    return reduce(np.maximum, planes)


def _in_company(seeds: np.ndarray, coming: Sequence[_Same]) -> np.ndarray:
    """Those of groups that are overlays; a corner of cloth that is held while the rest slides makes a few."""
    _, groups = cv2.connectedComponents(cv2.dilate(seeds, np.ones((JOINED, JOINED))).astype(np.uint8))
    reach = cv2.dilate(groups.astype(np.float32), EDGE).astype(int).ravel()
    own = groups.ravel()
    votes, between = (_most(each) for each in zip(*((a.votes * s, a.between * s) for _, a, s in coming), strict=True))
    count, votes, between = (np.bincount(own, (seeds * each).ravel()) for each in (np.ones_like(seeds), votes, between))
    passed = (coming[-1].evidence.gone < LATELY) & (cv2.dilate(seeds, EDGE) == 0)
    is_doubted = np.bincount(reach, passed.ravel(), len(count)) >= np.maximum(FEW, PASSED * count)
    is_one = (count >= FEW) & (between >= np.where(is_doubted, DOUBTED, BETWEEN) * votes)
    is_one[0] = False
    return seeds * is_one[groups]
