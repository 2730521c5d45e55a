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
FAR = 2  # source frames from one that is shown to the next: at 24 to 60 fps every second one is


def level_of(rgb: "np.ndarray") -> float:
    """Mean luma of a picture [H, W, 3], uint8 or float 0..1, as it is seen; grey levels of 255."""
    import cv2

    level = sum(weight * mean for weight, mean in zip(WEIGHTS, cv2.mean(rgb)[:3], strict=True))
    return round(level if rgb.dtype == "uint8" else 255 * level, 4)


def flicker(entries: "Iterable[Entry]") -> float | None:
    """By how much made frames are brighter or darker than what lies in between of the source frames around them, the
    mean in grey levels; None where there are none. Nothing is compared next to a cut, at the end, and where of the
    source frames around so few are shown, at 25 to 60 fps every fifth, that the scene itself may change between."""
    import numpy as np

    gaps: list[float] = []
    before: Entry | None = None  # the last source frame
    made: list[Entry] = []
    for entry in entries:
        if entry.level is None or entry.kind == "flash":  # made frames beside it are made across it
            continue
        if entry.kind == "made":
            made.append(entry)
            continue
        if before is not None and entry.kind == "source":
            times, levels = zip(*((float(each.instant), each.level) for each in (before, entry)), strict=True)
            ends, near = (before.first, entry.first), entry.first - before.first <= FAR
            between = [each for each in made if near or (each.first, each.last) == ends]
            gaps += [abs((each.level or 0) - float(np.interp(float(each.instant), times, levels))) for each in between]
        before, made = entry if entry.kind == "source" else None, []
    return float(np.mean(gaps)) if gaps else None
