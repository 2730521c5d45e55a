"""Real clips that made ones are held against: whole clips of a dataset, the same for every judgement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.data.augment import Window
from vidcm.data.clip import Clip
from vidcm.data.clips import ClipCache
from vidcm.data.whole import Stretch, span, stride
from vidcm.evaluation.windows import spread

LEAST = 4  # clips that a distance can be measured to


@dataclass(frozen=True)
class ClipShape:
    """rate: frames per second that the model is used to."""

    num_frames: int
    height: int
    width: int
    rate: float

    def __str__(self) -> str:
        return f"{self.num_frames} frames of {self.width}x{self.height} at about {self.rate:g} a second"

    def fits(self, clip: Clip) -> bool:
        return span(clip, self.num_frames, self.rate) <= clip.length


@dataclass(frozen=True)
class Held:
    """frames_THWC: uint8 RGB; caption: what they show; source: what scenes of one film share."""

    frames_THWC: np.ndarray
    caption: str
    source: str

    @property
    def clip(self) -> Tensor:
        """float32 in 0..1, [1, 3, T, H, W]."""
        return torch.from_numpy(self.frames_THWC).permute(3, 0, 1, 2)[None].float() / 255


def real_clips(cache: ClipCache, clips: Sequence[Clip], shape: ClipShape, count: int, least: int = LEAST) -> list[Held]:
    """At most `count`, evenly over all that lie in `clips`, the middle of the picture.

    They begin half of their length apart; where that gives fewer than `least`, at every frame."""
    fitting = [clip for clip in clips if shape.fits(clip)]
    for part in (2, shape.num_frames * 10**6):
        places = [(clip, start) for clip in fitting for start in _starts(clip, shape, part)]
        if len(places) >= min(count, least):
            break
    return [_cut(cache, *places[i], shape) for i in spread(len(places), count)]


def check_enough(found: Sequence[Held], folder: object, split: str, shape: ClipShape) -> None:
    """Raises UserError for too few to measure a distance to."""
    if len(found) < LEAST:
        raise UserError(
            f"{folder} has {len(found)} {split} clips of {shape}, judging takes {LEAST}: prepare more or longer "
            "footage, or give a smaller --num-frames"
        )


def _starts(clip: Clip, shape: ClipShape, part: int) -> range:
    need = span(clip, shape.num_frames, shape.rate)
    return range(0, clip.length - need + 1, max(1, need // part))


def _cut(cache: ClipCache, clip: Clip, start: int, shape: ClipShape) -> Held:
    step = stride(clip, shape.rate)
    indices = range(start, start + shape.num_frames * step, step)
    window = Window.centred(clip.shape[1:3], (shape.height, shape.width))
    frames = Stretch(clip, indices, window).cut(cache.frames(clip), (shape.height, shape.width))
    return Held(frames, clip.caption, clip.source)
