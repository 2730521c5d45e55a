"""Which clips a generator is tuned on: as long and as large as the footage has them and the model is used to."""

from collections.abc import Sequence
from math import lcm, log

from vidcm.data.clip import Clip
from vidcm.data.whole import span
from vidcm.evaluation.heldout import ClipShape
from vidcm.families.video import VideoFamily
from vidcm.finetuning.check import CROP, LEAST, check_clip
from vidcm.finetuning.config import FinetuneConfig

SHARE = 2 / 3  # of the training clips that must be long enough for a length to be chosen


def choose_shape(config: FinetuneConfig, family: VideoFamily, train: Sequence[Clip], val: Sequence[Clip]) -> ClipShape:
    """What is given, and for the rest what fits. Raises UserError for what the model cannot take."""
    rate = float(family.RATE)
    height, width = config.pixels or _size(family, train)
    count = config.num_frames or _length(family, train, val, rate)
    check_clip(count, height, width, family.grid)
    return ClipShape(count, height, width, rate)


def _length(family: VideoFamily, train: Sequence[Clip], val: Sequence[Clip], rate: float) -> int:
    """The longest that the model is used to and most clips have."""
    step, most = family.grid.time, family.usual_clip[0]
    first = next(count for count in range(1, LEAST + step + 1, step) if count >= LEAST)
    lengths = range(first, max(most, first) + 1, step)

    def enough(count: int) -> bool:
        fitting = sum(span(clip, count, rate) <= clip.length for clip in train)
        return fitting >= SHARE * len(train) and any(span(clip, count, rate) <= clip.length for clip in val)

    return max(filter(enough, lengths), default=first)


def _size(family: VideoFamily, clips: Sequence[Clip]) -> tuple[int, int]:
    """Height and width: the most common of the footage, shrunk to as many pixels as the model is used to. Of the
    multiples around that, those that are nearest in aspect and area."""
    sizes = [clip.shape[1:3] for clip in clips]
    height, width = max(sizes, key=sizes.count)
    usual = family.usual_clip[1] * family.usual_clip[2]
    scale = min(1.0, (usual / (height * width)) ** 0.5)
    unit = lcm(family.grid.side, CROP)

    def around(side: int) -> set[int]:
        below = int(side * scale) // unit * unit
        return {max(unit, below), *({below + unit} if below + unit <= side else ())}

    def miss(size: tuple[int, int]) -> float:
        aspect, area = size[1] * height / (size[0] * width), size[0] * size[1] / (scale**2 * height * width)
        return abs(log(aspect)) + abs(log(area))

    options = [(h, w) for h in around(height) for w in around(width) if h * w <= usual]
    return min(options, key=miss, default=(unit, unit))
