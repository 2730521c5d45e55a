"""How much changes from one picture to another, and whether the second is the first once more.

Measured in grey levels of luma, averaged over patches of 5 x 5 pixels of pictures 128 pixels high: sensor noise
averages out, a small thing that moves does not.
"""

import cv2
import numpy as np

from vidcm.media.motion import grey

LOOK, PATCH = 128, 5  # pixels
STILL = 5.0  # grey levels: what noise and compression make of a still; within a second of the footage it is 20
SAME = 1.0  # less than this is a repeat; 1.1 to 60 between neighbouring frames of the footage
# A repeat that was compressed anew changes by up to 6 at crf 28. It is told from slow motion by coming all at once:
SAME_AT_MOST = 6.0
HALT = 0.4  # share of the largest change in the last motion,
HALT_WHERE_MOVING = 0.1  # and on average where most of that motion was


def look(picture: np.ndarray) -> np.ndarray:
    """Small float32 luma of uint8 RGB [H, W, 3]."""
    height, width = picture.shape[:2]
    scale = min(1.0, LOOK / min(height, width))
    size = round(width * scale), round(height * scale)
    return grey(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)).astype(np.float32)


def change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How much two looks differ around each pixel, grey levels."""
    return np.abs(cv2.blur(a - b, (PATCH, PATCH)))


def is_repeat(now: np.ndarray, motion: np.ndarray | None) -> bool:
    """Whether `now` is the change to a repeated picture. motion: the last change to one that was none, if any is known.

    Of 4000 frames of the footage, which has no repeats, 8 are taken for some; of pictures held for two or three frames
    at crf 23 and 28 four in a hundred are missed, beside the first, which has no motion before it.
    """
    most = float(now.max())
    return most < SAME if most < SAME or motion is None else halts(now, motion)


def halts(
    now: np.ndarray, motion: np.ndarray, left: float = HALT_WHERE_MOVING, same_at_most: float = SAME_AT_MOST
) -> bool:
    """Whether next to nothing of a motion is left. now, motion: changes from one picture to the next.

    left: the share of it, where most of it was, from which it goes on."""
    moving = motion > motion.max() / 2
    goes_on = now[moving].mean() >= left * motion[moving].mean()
    return not goes_on and float(now.max()) < min(same_at_most, HALT * float(motion.max()))
