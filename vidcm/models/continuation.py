"""Motion beyond one end of a shot, where there is no other: what moved on goes on moving as it last did."""

import torch
from torch import Tensor

from vidcm.models.projection import splat

HOLES = 1e-3  # weight of what stands where nothing lands


def continued(flow: Tensor, step: float, time: Tensor) -> Tensor:
    """The motion from an instant beyond the end back to the end, [B, 2, h, w].

    flow: from the end to the frame `step` before it (behind it: all runs backwards), in pixels [B, 2, h, w]; time: how
    far beyond the end, in the unit of `step`, [B].
    """
    motion = -flow / step
    time = time.view(-1, 1, 1, 1)
    total, weight = splat(motion, time * motion, torch.ones_like(motion[:, :1]))
    return -time * (total + HOLES * motion) / (weight + HOLES)
