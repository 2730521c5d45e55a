"""How far samples of different seeds are from each other, where the truth moves and where it stands still.

    range = max over seeds - min over seeds        of a pixel, mean over its channels, in grey levels of 0..255

A sampler should differ as motion may: on what moves, and nowhere else. Which pixels move, the truth says, as in
`mpsnr`: `apart` is the mean of the range over them, `drift` over all others, `drift99` what 99% of these stay within.
"""

import torch
from torch import Tensor

from vidcm.metrics.mpsnr import moving_mask


def drift(samples: Tensor, truth: Tensor, first: Tensor, last: Tensor) -> dict[str, float]:
    """samples: [M, K, 3, H, W] in 0..1, truth: [K, 3, H, W], first and last: [3, H, W], the source frames.

    Over the pixels of all K frames; NaN where there are none of a kind."""
    spread = 255 * (samples.amax(dim=0) - samples.amin(dim=0)).mean(dim=-3, keepdim=True)
    moving = moving_mask(truth, first, last)
    on, off = spread[moving], spread[~moving]
    high = off.kthvalue(1 + int(0.99 * (len(off) - 1))).values if len(off) else torch.tensor(torch.nan)
    return {"apart": on.mean().item(), "drift": off.mean().item(), "drift99": high.item()}
