"""Bricks of a causal video network: nothing that comes out depends on frames that come later.

Frames are [B, T, C, H, W]. Every brick is called with a `Past`, which hands it the frames before the ones it is given:
of a clip's first chunk its first frame, repeated, and afterwards what the brick itself saw last. So a clip in chunks
and a clip as a whole are one computation, and a single frame is a clip.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor, nn


class Past:
    """What the bricks of a network saw of a clip so far."""

    def __init__(self) -> None:
        self._seen: dict[nn.Module, Tensor] = {}

    def begins(self, brick: nn.Module) -> bool:
        """Whether this brick has not seen the clip yet."""
        return brick not in self._seen

    def enter(self, brick: nn.Module) -> bool:
        """`begins`, for a brick that needs no earlier frames."""
        begins = self.begins(brick)
        self._seen.setdefault(brick, torch.empty(0))
        return begins

    def before(self, brick: nn.Module, frames: Tensor, first: int, later: int) -> Tensor:
        """`frames` with those before them: `first` copies of the first frame at the clip's begin, else the last
        `later` frames that this brick saw. Remembers as many of these."""
        begins = self.begins(brick)
        earlier = frames[:, :1].expand(-1, first, -1, -1, -1) if begins else self._seen[brick]
        whole = torch.cat((earlier, frames), dim=1)
        self._seen[brick] = whole[:, whole.shape[1] - later :]
        return whole


def each(layer: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """A layer of pictures, applied to every frame."""
    return layer(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


class Norm(nn.Module):
    """Root-mean-square normalisation over the channels of each place: no statistics of other frames or tiles."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., C, H, W]"""
        wide = x.float()
        power = wide.square().mean(-3, keepdim=True)
        return (wide * (power + 1e-6).rsqrt() * self.weight[:, None, None].float()).to(x.dtype)


class TemporalConv(nn.Module):
    """A causal convolution over three frames, place by place. stride 2 makes 1 + n frames of 1 + 2 n."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.weigh = nn.Conv2d(3 * channels_in, channels_out, 1)

    def forward(self, frames: Tensor, past: Past) -> Tensor:
        whole = past.before(self, frames, first=2, later=3 - self.stride)
        count = (whole.shape[1] - 3) // self.stride + 1
        last = (count - 1) * self.stride + 1
        seen = torch.cat([whole[:, i : i + last : self.stride] for i in range(3)], dim=2)
        return each(self.weigh, seen)


class Block(nn.Module):
    """x + temporal(act(norm(spatial(act(norm(x)))))), the last convolution starting silent (arXiv:1711.11248)."""

    def __init__(self, channels: int):
        super().__init__()
        self.before, self.between = Norm(channels), Norm(channels)
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1)
        self.temporal = TemporalConv(channels, channels)
        nn.init.zeros_(self.temporal.weigh.weight)
        nn.init.zeros_(self.temporal.weigh.bias)

    def forward(self, frames: Tensor, past: Past) -> Tensor:
        moved = each(self.spatial, F.silu(self.before(frames)))
        return frames + self.temporal(F.silu(self.between(moved)), past)


class Shrink(nn.Module):
    """Halve the picture, and the frames too if `time`: 1 + 2 n become 1 + n. What is averaged passes beside the
    convolutions, so that the network starts as one that loses little (arXiv:2410.10733)."""

    def __init__(self, channels_in: int, channels_out: int, *, space: bool, time: bool):
        super().__init__()
        self.space, self.channels_out = space, channels_out
        self.spatial = nn.Conv2d(channels_in, channels_out, 3, 2 if space else 1, 1)
        self.temporal = TemporalConv(channels_out, channels_out, stride=2) if time else None
        self.pairs = nn.Identity() if time else None  # the brick that the averaged frames are remembered under

    def forward(self, frames: Tensor, past: Past) -> Tensor:
        made, kept = each(self.spatial, frames), frames
        if self.space:
            kept = rearrange(kept, "b t c (h y) (w x) -> b t (c y x) h w", y=2, x=2)
        kept = fitted(kept, self.channels_out)
        if self.temporal is not None:
            made = self.temporal(made, past)
            kept = past.before(self.pairs, kept, first=1, later=0)
            kept = reduce(kept, "b (t two) c h w -> b t c h w", "mean", two=2)
        return made + kept


class Grow(nn.Module):
    """Double the picture, and the frames too if `time`: 1 + n become 1 + 2 n. What is copied passes beside."""

    def __init__(self, channels_in: int, channels_out: int, *, space: bool, time: bool):
        super().__init__()
        self.space, self.time, self.channels_out = space, time, channels_out
        self.spatial = nn.Conv2d(channels_in, channels_out * (4 if space else 1), 3, padding=1)
        self.temporal = TemporalConv(channels_in, 2 * channels_in) if time else None
        if self.temporal is not None:
            nn.init.zeros_(self.temporal.weigh.weight)
            nn.init.zeros_(self.temporal.weigh.bias)

    def forward(self, frames: Tensor, past: Past) -> Tensor:
        if self.temporal is not None:
            begins = past.begins(self.temporal)
            frames = repeat(frames, "b t c h w -> b t two c h w", two=2) + rearrange(
                self.temporal(frames, past), "b t (two c) h w -> b t two c h w", two=2
            )
            frames = frames.flatten(1, 2)[:, 1 if begins else 0 :]
        made = each(self.spatial, frames)
        kept = fitted(frames, made.shape[2])
        if self.space:
            made, kept = (rearrange(x, "b t (c y x) h w -> b t c (h y) (w x)", y=2, x=2) for x in (made, kept))
        return made + kept


def fitted(frames: Tensor, channels: int) -> Tensor:
    """Neighbouring channels averaged, or each copied, until there are `channels`; one number divides the other."""
    had = frames.shape[2]
    if channels <= had:
        return reduce(frames, "b t (c n) h w -> b t c h w", "mean", n=had // channels)
    return repeat(frames, "b t c h w -> b t (c n) h w", n=channels // had)
