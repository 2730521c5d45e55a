"""Moving-pixel PSNR: the error where holding a source frame would have shown, in dB, higher is better.

Most of a picture stands still and any method copies it; this looks at the rest. A pixel of the truth moves when its
luma differs from one of the two source frames around it by more than THRESHOLD, or when such a pixel lies within REACH
pixels (a square), so that ghosts beside an edge count too. The mask needs true frames alone: all methods share it.
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from vidcm.metrics.luma import luma
from vidcm.metrics.psnr import decibel

THRESHOLD = 8 / 255
REACH = 2


def moving_mask(truth: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """truth: [K, 3, H, W] in 0..1, first and last: [3, H, W], the source frames. Returns bool [K, 1, H, W]."""
    target = luma(truth)
    change = torch.maximum((target - luma(first)).abs(), (target - luma(last)).abs())
    return max_pool2d((change > THRESHOLD).to(truth.dtype), 2 * REACH + 1, stride=1, padding=REACH) > 0


def mpsnr(rebuilt: Tensor, truth: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """rebuilt, truth: [K, 3, H, W] in 0..1, first and last: [3, H, W]. Returns [K]; NaN where nothing moves."""
    moving = moving_mask(truth, first, last)
    error = ((rebuilt - truth).square().mean(dim=-3, keepdim=True) * moving).sum(dim=(-3, -2, -1))
    return decibel(error / moving.sum(dim=(-3, -2, -1)))
