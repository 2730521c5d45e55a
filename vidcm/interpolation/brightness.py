"""Whether made frames are as bright as the source frames around them: what a viewer would see pulse.

Measured before the encoder, which adds its own: frames that H.264 and HEVC predict from both sides are brighter by up
to 0.2 grey levels, since the mean of two samples is rounded up.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from vidcm.interpolation.ledger import Entry

WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue


def level_of(rgb: "np.ndarray") -> float:
    """Mean luma of a picture [H, W, 3], uint8 or float 0..1, as it is seen; grey levels of 255."""
    import cv2

    level = sum(weight * mean for weight, mean in zip(WEIGHTS, cv2.mean(rgb)[:3], strict=True))
    return round(level if rgb.dtype == "uint8" else 255 * level, 4)


def flicker(entries: "Iterable[Entry]") -> float | None:
    """By how much made frames are brighter or darker than what lies in between of the source frames around them, the
    mean in grey levels; None where there are none. Next to a cut, and at the end, nothing is compared."""
    import numpy as np

    gaps: list[float] = []
    before: tuple[float, float] | None = None  # instant and level of the last source frame
    made: list[tuple[float, float]] = []
    for entry in entries:
        if entry.level is None:
            continue
        here = float(entry.instant), entry.level
        if entry.kind == "made":
            made.append(here)
            continue
        if before is not None and entry.kind == "source":
            times, levels = zip(before, here, strict=True)
            gaps += [abs(level - float(np.interp(time, times, levels))) for time, level in made]
        before, made = here if entry.kind == "source" else None, []
    return float(np.mean(gaps)) if gaps else None
