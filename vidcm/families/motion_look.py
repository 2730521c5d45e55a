"""A frame as the motion family looks at it: at its working size, with the motion to other frames remembered."""

from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidcm.core.working import working_size
from vidcm.media.motion import dis_flow, grey, reduce_flow
from vidcm.models.motion_vae import Seen

FINE_SIDE = 384  # pixels: up to this short side single pixels are matched; four times the work, little gained beyond
REPEATED = 2 / 255  # mean difference over 8 x 8 pixels that frames which are one and the same reach nowhere


class Look:
    """frame: float32 [B, 3, H, W] in 0..1, any size. Keeps no hold of it. finer: see `working_size`.

    Motion is measured once however often it is asked for, as long as both looks live: in a stream every frame has a
    part in three pairs.

    A network may keep what it saw of it as the last frame of a pair, for the next pair, whose first it is."""

    _kept: tuple[Any, Seen] | None = None

    def __init__(self, frame: Tensor, finer: float = 1.0) -> None:
        small = resize(frame, working_size(*frame.shape[-2:], finer))
        self.small = small.clone() if small.data_ptr() == frame.data_ptr() else small
        self._preset = preset_for(min(working_size(*frame.shape[-2:])))
        self._motion: WeakKeyDictionary[Look, Tensor] = WeakKeyDictionary()
        self._differs: WeakKeyDictionary[Look, Tensor] = WeakKeyDictionary()

    @cached_property
    def luma(self) -> list[np.ndarray]:
        return luma(self.small)

    @cached_property
    def quarter(self) -> Tensor:
        """Averaged to the 1/4 grid, [B, 3, h, w]."""
        return F.avg_pool2d(self.small, 4)

    def keep(self, by: Any, seen: Seen) -> None:
        """by: whoever saw it, and how; another one sees it anew."""
        self._kept = by, seen

    def taken(self, by: Any) -> Seen | None:
        """What `by` kept. Nothing is kept any longer."""
        kept, self._kept = self._kept, None
        return kept[1] if kept is not None and kept[0] == by else None

    def motion_to(self, other: "Look") -> Tensor:
        """On the 1/4 grid, [B, 2, h, w] in its cells."""
        if other not in self._motion:
            self._motion[other] = flows_between(self.luma, other.luma, self._preset).to(self.small.device)
        return self._motion[other]

    def differs(self, other: "Look") -> Tensor:
        """Whether it is another picture, bool [B]: a frame that is shown twice tells no motion."""
        if other not in self._differs:
            differs = F.avg_pool2d((self.small - other.small).abs(), 8).amax((1, 2, 3)) > REPEATED
            self._differs[other] = other._differs[self] = differs
        return self._differs[other]


Looks = tuple[Look | None, Look | None, Look | None, Look | None]  # of (first, last, before, after)


def measure(a: Tensor, b: Tensor) -> Tensor:
    """Motion a -> b of working-size frames [N, 3, H, W] on the 1/4 grid: [N, 2, H/4, W/4], by OpenCV's DIS."""
    return flows_between(luma(a), luma(b), preset_for(min(a.shape[-2:]))).to(a.device)


def luma(frames: Tensor) -> list[np.ndarray]:
    """uint8 [H, W] each, of float32 [N, 3, H, W] in 0..1."""
    return [grey(x) for x in (255 * frames).round().byte().permute(0, 2, 3, 1).cpu().numpy()]


def preset_for(short: int) -> str:
    """short: side of the usual working size; where finer motion is looked for than that, it is not looked for less."""
    return "fine" if short <= FINE_SIDE else "medium"


def flows_between(a: list[np.ndarray], b: list[np.ndarray], preset: str) -> Tensor:
    return torch.from_numpy(np.stack([reduce_flow(dis_flow(x, y, preset), 4) for x, y in zip(a, b, strict=True)]))


def motion_between(start: Look | None, end: Look | None, like: Look) -> Tensor:
    """None where one of them is absent; `like` any look of the same size."""
    return no_motion(like.small) if start is None or end is None else start.motion_to(end)


def no_motion(frame: Tensor) -> Tensor:
    return frame.new_zeros(len(frame), 2, frame.shape[-2] // 4, frame.shape[-1] // 4)


def resize(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased when it shrinks; in 0..1, also of frames that go beyond."""
    if frame.shape[-2:] == tuple(size):
        return frame.clamp(0, 1)
    planes = frame.split(1, dim=1)  # each laid out by itself: half the time of channels last
    small = [F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True) for x in planes]
    return torch.cat(small, dim=1).clamp_(0, 1)
