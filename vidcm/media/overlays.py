"""What stands still in front of pictures that move: logos, HUD, burned-in subtitles and clocks, frame by frame.

The detail of a picture (luma and colours less their means over a few pixels) is compared with that of the frame
before, twice: in its place, and where the motion of what moves around it would have put it. A place votes for an
overlay when its detail stayed, and would not have stayed had it moved along:

    stayed = |d - d'|,   moved along = |d - d'(x + v)|,   v: mean motion of the moving detail around, by DIS

Still ground beside something that moves votes as well, so most detail in a wider neighbourhood has to be moving. A line
along the motion looks alike in both places, and votes against. Votes add up as long as the detail is what it was when
the votes began; detail that is replaced begins anew. A person who stands still in a pan sways, and does not stay.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vidcm.media.motion import dis_flow

SIZE, MOTION_SIZE = 360, 128  # pixels of the short side: of the detail, and of the pictures in which motion is found
MEAN, PATCH, AROUND, WIDE = 7, 3, 9, 41  # pixels that are averaged; AROUND of the small ones
COLOUR = 2.0  # weight of Cb and Cr beside luma: thin lines lose half of theirs in 4:2:0, and moving ground has little
DETAIL, CLEAR = 4.0, 8.0  # grey levels on average: less is no detail, or not clear enough to vote
STAYED, LEAST = 0.35, 1.5  # share of the detail, and grey levels, by which what stays may differ: compression, and
# what shines through
FLICKERS = 4.0  # grey levels: what compression makes of a level that stays
MOVES = 0.8  # pixels from frame to frame: less does no harm
MOVED = 0.6  # share of the detail by which it must differ where it would have moved to
MOVING, AREA = 0.7, 0.4  # share of the detail around that has to move, and of the surroundings that have to change
REMEMBERED = 0.85  # of the votes until then: what is beside something that moves has some now and then
DOUBTED, SURE = 2.0, 4.0  # votes
SIDE, BESIDE = 4, 5  # pixels from a place to the middle of what is beside it, and of that
LONG, JUMPS = 6, 20.0  # frames at rest, and grey levels all at once: detail that something passes in front of;
LIGHT = 0.25  # but where so much of a picture jumps it is a cut, or light
KNOWN_BY = 8  # frames of which a place's detail is the mean


class Evidence(NamedTuple):
    """What is known of each place when a frame has been seen, float32 [h, w].

    votes: so many for an overlay; age: frames since its detail is what it is; is_there: whether the frame shows that
    detail; detail: how much of it, grey levels; rest: frames since its level is what it is; stir: for how many of
    the last frames things moved around it; between: the votes that were cast with change on both sides; gone: frames
    since detail that had long been at rest gave way all at once, inf: never.
    """

    votes: np.ndarray
    age: np.ndarray
    is_there: np.ndarray
    detail: np.ndarray
    rest: np.ndarray
    stir: np.ndarray
    between: np.ndarray
    gone: np.ndarray

    @property
    def sureness(self) -> np.ndarray:
        """0..1"""
        return ((self.votes - DOUBTED) / (SURE - DOUBTED)).clip(0, 1) * (self.detail > DETAIL)


class _Look(NamedTuple):
    """A frame: its luma, its detail [C, h, w] (of luma and colours), how much of that there is around each place, and a
    small picture for motion."""

    level: np.ndarray
    detail: np.ndarray
    amount: np.ndarray
    small: np.ndarray


class OverlayFinder:
    """Feed it the luma of all frames in order, uint8 [H, W] of one size, with Cb and Cr of any size, or without; what
    it knows comes back after each.

    It looks back alone, and needs no cuts: whatever is not in front of them changes there. About 11 ms a frame on one
    CPU core."""

    def __init__(self) -> None:
        self._last: _Look | None = None

    def add(self, luma: np.ndarray, *chroma: np.ndarray) -> Evidence:
        seen = _look(luma, chroma)
        if self._last is None or self._last.detail.shape != seen.detail.shape:
            self._begin(seen)
        else:
            self._compare(self._last, seen)
        self._last = seen
        known = self._votes, self._age, self._misses == 0, self._amount, self._rest, self._stir
        return Evidence(*known, self._between, self._gone)

    def _begin(self, seen: _Look) -> None:
        self._detail, self._amount = seen.detail, seen.amount
        self._votes = self._misses = self._stir = self._between = np.zeros_like(seen.level)
        self._age = self._rest = np.ones_like(seen.level)
        self._gone = np.full_like(seen.level, np.inf)

    def _compare(self, last: _Look, seen: _Look) -> None:
        most = np.maximum(last.amount, seen.amount)
        change = _apart(seen.detail, last.detail)
        has_changed, is_detail = change > np.maximum(LEAST, STAYED * most), most > DETAIL
        moving = (is_detail & has_changed).astype(np.float32)
        x, y = _motion_around(last, seen, moving)
        moves = cv2.magnitude(x, y) > MOVES
        resting = (is_detail & ~has_changed & ~moves).astype(np.float32)
        share = _mean(moving, WIDE)
        step = _mean(np.abs(seen.level - last.level), PATCH)
        changes = (moving.astype(bool) | (step > FLICKERS)).astype(np.float32)
        could_move = moves & (share > MOVING * (share + _mean(resting, WIDE) + 1e-3)) & (_mean(changes, WIDE) > AREA)

        is_same = _apart(seen.detail, self._detail) <= np.maximum(LEAST, STAYED * self._amount)
        votes = (seen.amount > CLEAR) & ~has_changed & is_same & could_move
        if votes.any():
            along = _apart(seen.detail, _moved(last.detail, x, y))
            is_for = votes & (along > MOVED * seen.amount) & (along > 2 * change)
            votes = is_for.astype(np.float32) - (votes & ~is_for)
        jumps = step > JUMPS
        gives_way = jumps & (self._rest >= LONG) & (last.amount > CLEAR) & (jumps.mean() < LIGHT)
        self._gone = np.where(gives_way, 0, self._gone + 1).astype(np.float32)
        self._rest = np.where(step < FLICKERS, self._rest + 1, 1).astype(np.float32)
        self._stir = REMEMBERED * self._stir + could_move.astype(np.float32)
        self._remember(seen, is_same, has_changed, votes, _has_both_sides(changes))

    def _remember(
        self, seen: _Look, is_same: np.ndarray, has_changed: np.ndarray, votes: np.ndarray, is_between: np.ndarray
    ) -> None:
        """Two frames in a row that show something else begin anew: one may be damaged, or shine through."""
        misses = np.where(is_same, 0, self._misses + 1).astype(np.float32)
        is_new = misses >= 2
        self._age = np.where(is_new, np.where(has_changed, 1, 2), self._age + 1).astype(np.float32)
        self._votes = np.where(is_new, 0, (REMEMBERED * self._votes + votes).clip(0)).astype(np.float32)
        between = REMEMBERED * self._between + (is_between & (votes > 0))
        self._between = np.where(is_new, 0, between).astype(np.float32)
        weight = np.where(is_new, 1, is_same / np.minimum(self._age, KNOWN_BY)).astype(np.float32)
        self._detail = self._detail + weight * (seen.detail - self._detail)
        self._amount = self._amount + weight * (seen.amount - self._amount)
        self._misses = np.where(is_new, 0, misses)


def _look(luma: np.ndarray, chroma: Sequence[np.ndarray]) -> _Look:
    picture = _shrunk(luma, SIZE)
    level, size = picture.astype(np.float32), picture.shape[::-1]
    planes = [
        level,
        *(COLOUR * cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32) for plane in chroma),
    ]
    detail = np.stack([plane - _mean(plane, MEAN) for plane in planes])
    return _Look(level, detail, _apart(detail, np.zeros_like(detail)), _shrunk(picture, MOTION_SIZE))


def _motion_around(last: _Look, seen: _Look, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where what moves around each place was in the last frame, pixels of the detail (x, y)."""
    size, small = moving.shape[::-1], seen.small.shape[::-1]
    weight = cv2.resize(moving, small, interpolation=cv2.INTER_AREA)
    total = _mean(weight, AROUND) + 1e-3
    flow = dis_flow(seen.small, last.small, "fast")
    x, y = (cv2.resize(_mean(each * weight, AROUND) / total, size) for each in flow)
    return x * (size[0] / small[0]), y * (size[1] / small[1])


def _has_both_sides(places: np.ndarray) -> np.ndarray:
    """Where most are such places, 0 or 1, both to the left and to the right, or above and below: bool [h, w].

    Beyond the picture all are."""
    far, (height, width) = SIDE, places.shape
    share = cv2.copyMakeBorder(_mean(places, BESIDE), far, far, far, far, cv2.BORDER_CONSTANT, value=1) > 0.5
    down, across = slice(far, far + height), slice(far, far + width)
    is_beside = share[down, :width] & share[down, 2 * far :]
    return is_beside | (share[:height, across] & share[2 * far :, across])


def _apart(detail: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much they differ around each place, [C, h, w] -> [h, w]."""
    return _mean(np.abs(detail - other).sum(axis=0), PATCH)


def _moved(detail: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(x.shape, dtype=np.float32)
    places = columns + x, rows + y
    return np.stack([cv2.remap(each, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for each in detail])


def _shrunk(picture: np.ndarray, short: int) -> np.ndarray:
    height, width = picture.shape
    scale = min(1.0, short / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _mean(picture: np.ndarray, size: int) -> np.ndarray:
    return cv2.blur(picture, (size, size))
