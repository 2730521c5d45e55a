"""Whether rebuilt frames are as bright as the source frames beside them: what a viewer would see pulse.

    |mean luma of a rebuilt frame - of its ends, in between|

Measured against the ends, not the truth: encoders make frames of different kinds differently bright (on one sample
every second frame by 0.13 grey levels), which a rebuilt one must not follow.
"""

import torch
from torch import Tensor

from vidcm.metrics.luma import luma


def brightness(rebuilt: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """rebuilt: RGB 0..1 [K, 3, H, W], evenly between the ends [3, H, W]. Grey levels of 255, [K]."""
    taus = torch.linspace(0, 1, len(rebuilt) + 2, dtype=rebuilt.dtype)[1:-1]
    ends = [luma(end).mean(dtype=rebuilt.dtype) for end in (first, last)]
    return 255 * (luma(rebuilt).flatten(1).mean(1) - torch.lerp(*ends, taus)).abs()
