"""When the distinct pictures of a shot were taken, where repeats stand between some of them and not between others.

Two things leave such a file behind. A picture was lost, and the one before it is shown in its place: then the next one
comes when it should, and moves twice as far. Or all pictures were fitted to another rate (24 a second shown at 30, a
game of 40 in a recording of 60): then each moves as far as any other, and only the showing is uneven. How motion
goes with time tells which: motion ~ time^slope, with a slope of 1 for what was lost and 0 for what was fitted. What was
fitted lies on a line, and was taken at even times, each before it was shown.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

REACH = 24  # pictures on each side by which one is judged
LEAST_SLOPE = 0.5  # of log motion over log time: below it, time is not what motion took
FURTHEST = 1.0  # frame by which pictures fitted to another rate may miss the line
STILL = 0.05  # pixels of a picture 128 high: no motion to judge by
EXACT = 1024  # parts of a frame to which moments are rounded


def moments(instants: Sequence[Fraction], motion: Sequence[float], frame: Fraction) -> dict[Fraction, Fraction]:
    """Instant at which a picture is first shown -> when it was taken, for those that were fitted to another rate.

    instants: of the distinct pictures of one shot, seconds; motion: from each to the next, one fewer; frame: seconds
    that one frame of the file lasts.
    """
    shown = np.array([float((instant - instants[0]) / frame) for instant in instants])
    found, before = {}, -np.inf
    for k in range(len(shown) if _is_uneven(np.diff(shown)) else 0):
        first, end = max(0, k - REACH), k + REACH + 1
        taken = _taken(shown[first:end], np.asarray(motion[first : end - 1]), k - first)
        if taken is not None:
            taken = min(max(taken, before + 0.25), shown[k])  # pictures do not change places where two views meet
            found[instants[k]] = instants[0] + Fraction(round(taken * EXACT), EXACT) * frame
        before = shown[k] if taken is None else taken
    return found


def _taken(shown: np.ndarray, motion: np.ndarray, k: int) -> float | None:
    """When picture k was taken, in frames; None if when it was shown."""
    times = np.diff(shown)
    if not _is_uneven(times) or _slope(times, motion[: len(times)]) > LEAST_SLOPE:
        return None
    numbers = np.arange(len(shown))
    line = np.polynomial.Polynomial.fit(numbers, shown, 1)(numbers)
    if np.abs(line - shown).max() > FURTHEST:
        return None
    return float(line[k] - (line - shown).max())


def _slope(times: np.ndarray, motion: np.ndarray) -> float:
    """Of log motion over log time; 1, as if nothing was fitted, where too little moves."""
    moves = motion > STILL
    if not moves.any() or not _is_uneven(times[moves]):
        return 1.0
    x, y = np.log(times[moves]), np.log(motion[moves])
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def _is_uneven(times: np.ndarray) -> bool:
    return len(times) > 1 and bool(times.max() > 1.25 * times.min())
