"""Full-size frames of decoded motion, one after the other, and all of a call put together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import torch.nn.functional as F
from torch import Tensor

from vidcm.models.motion_decoder import Motion
from vidcm.models.synthesis import STRIP, Synthesis, warp_in_strips
from vidcm.pipelines.ends import extremes

Made = Iterator[tuple[Tensor, Tensor]]


def render(
    synthesis: Synthesis,
    precision: Callable[[], AbstractContextManager],
    motion: Motion,
    present: Tensor,
    first: Tensor,
    last: Tensor,
    strip: int = STRIP,
) -> Made:
    """Warp the full-size ends along decoded motion, its rows those of `present` [B*K, 2]: for each of them the frame
    [3, H, W] in 0..1, or as far beyond as the ends go, and doubt [1, H, W]. precision: what it is computed in."""
    least, most = zip(*map(extremes, (first, last)), strict=True)
    black, white = min(0.0, *least), max(1.0, *most)
    count, (height, width) = len(present) // len(first), first.shape[-2:]
    if height % 2 or width % 2:
        even = (0, width % 2, 0, height % 2)
        first, last = (F.pad(x, even, mode="replicate") for x in (first, last))
    for i in range(len(present)):
        which = slice(i // count, i // count + 1)
        with precision():
            frame, doubt = synthesis(motion.row(i), first[which], last[which], present[i, None], strip)
        yield frame[0, :, :height, :width].clamp_(black, white), doubt[0, :, :height, :width].clamp_(0, 1)
        del frame, doubt  # before the next one is made


def go_on(flow: Tensor, doubt: Tensor, end: Tensor, strip: int = STRIP) -> Made:
    """What `render` gives, of a full-size end [B, 3, H, W] that goes on moving: see `MotionFamily.continuation`."""
    count, size = len(flow) // len(end), tuple(end.shape[-2:])
    least, most = extremes(end)
    black, white = min(0.0, least), max(1.0, most)
    for i in range(len(flow)):
        made = warp_in_strips(end[i // count, None], flow[i, None], strip)
        unsure = F.interpolate(doubt[i, None], size=size, mode="bilinear", align_corners=False)
        yield made[0].clamp_(black, white), unsure[0]


def together(
    made: Made, first: Tensor | None, last: Tensor | None, tau: Tensor | Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Frames [B, 3, K, H, W] and what comes with each, [B, 1, K, H, W], of what is made frame by frame."""
    found = None
    for i, each in enumerate(made):
        if found is None:
            batch = len(first if first is not None else last)
            count = len(tau) if isinstance(tau, Sequence) else tau.shape[-1]
            found = tuple(x.new_empty(batch, len(x), count, *x.shape[1:]) for x in each)
        for whole, x in zip(found, each, strict=True):
            whole[i // count, :, i % count] = x
    return found
