"""Whether a frame or two are lit as by a photographer's flash: far brighter or darker than what is around them, which
is alike.

Told from a few numbers of each frame: its luma over COARSE x COARSE cells. Motion changes some cells, and not back; a
fade, an explosion that stays and a cut do not come back either; a strobe does, but light is not steady before it does
so again. Frames that are black are gaps, not shadows: there is no picture in them. A shadow lies in light that lasts
longer than a flash; so what is unlit between two flashes is none, from whichever frame on one looks.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np

COARSE = 4
MOST = 2  # frames: a flash that falls between the rows of a rolling shutter lights two
LIT = 12.0  # grey levels, on average over the picture
WIDELY = 0.4  # of the cells change by half as much: an object that flies by covers fewer
STEADY = 0.25  # of that: as much may the frames around it differ
BLACK = 0.25  # of the light around it: what has less shows nothing

Levels = np.ndarray


def levels_of(picture: np.ndarray) -> Levels:
    """uint8 RGB [H, W, 3] -> luma 0..255 of its cells, float32 [COARSE * COARSE]."""
    cells = cv2.resize(picture, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(cells, cv2.COLOR_RGB2GRAY).astype(np.float32).ravel()


def jumps(previous: Levels | None, before: Levels, after: Levels) -> bool:
    """Whether `after` may be lit: light has changed widely, and had not just before. previous: of the frame before
    `before`; None: there is none in its shot, so that a strobe might begin."""
    change = abs(float((after - before).mean()))
    return previous is not None and _has_changed(before, after) and _is_steady([previous, before], change)


def is_flash(previous: Levels | None, before: Levels, lit: Sequence[Levels], behind: Levels) -> bool:
    """Whether the frames `lit` are, and those around them alike. previous: see `jumps`."""
    changes = [float((each - side).mean()) for each in lit for side in (before, behind)]
    least, most = min(changes), max(changes)
    if least <= 0 <= most or not all(jumps(previous, before, each) and _has_changed(behind, each) for each in lit):
        return False
    return _unlike(before, behind) < STEADY * min(abs(least), abs(most))


def flash_length(earlier: Sequence[Levels], before: Levels, coming: Callable[[int], Levels | None]) -> int:
    """How many frames behind `before` a flash lights, 0 .. MOST.

    earlier: of frames before that one, in its shot, MOST or as many as there are. coming: of the frame so many places
    behind the next one, None where there is none; asked no further ahead than light jumps, but for a shadow."""
    previous, lit = earlier[-1] if earlier else None, list[Levels]()
    while len(lit) < MOST:
        each = coming(len(lit))
        if each is None or not jumps(previous, before, each):
            return 0
        lit.append(each)
        behind = coming(len(lit))
        if behind is None:
            return 0
        if is_flash(previous, before, lit, behind):
            is_light = lit[0].mean() > before.mean()
            return len(lit) if is_light or _is_shadow([*earlier, before], lit, _from(coming, len(lit))) else 0
    return 0


def _is_shadow(before: Sequence[Levels], lit: Sequence[Levels], behind: Sequence[Levels]) -> bool:
    """Whether light is steady on both sides for longer than a flash lasts, behind as far as there are frames: otherwise
    what is dark may be all that is unlit between two flashes."""
    change = min(abs(float((each - side).mean())) for each in lit for side in (before[-1], behind[0]))
    return len(before) > MOST and _is_steady(before, change) and _is_steady(behind, change)


def _from(coming: Callable[[int], Levels | None], place: int) -> list[Levels]:
    """As many frames as tell that light there is no flash, if they are there."""
    row = list[Levels]()
    while len(row) <= MOST and (each := coming(place + len(row))) is not None:
        row.append(each)
    return row


def _is_steady(row: Sequence[Levels], change: float) -> bool:
    """Whether each frame is like the one before it, beside a change of so many grey levels."""
    return all(_unlike(a, b) < STEADY * change for a, b in pairwise(row))


def _has_changed(before: Levels, after: Levels) -> bool:
    light = after - before
    change = float(light.mean())
    if abs(change) <= LIT or (change < 0 and after.mean() < BLACK * before.mean()):
        return False
    return bool((np.sign(change) * light > abs(change) / 2).mean() >= WIDELY)


def _unlike(a: Levels, b: Levels) -> float:
    """Grey levels by which cells differ."""
    return float(np.abs(a - b).mean())
