"""Distances between pictures, one number per sample: [N, C, H, W] x [N, C, H, W] -> [N]. Values in 0..1, float32."""

import torch.nn.functional as F
from torch import Tensor


def charbonnier(a: Tensor, b: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt((a - b)^2 + eps^2): an absolute difference that is smooth at zero."""
    return ((a - b).square() + eps**2).sqrt().flatten(1).mean(1)


def laplacian(a: Tensor, b: Tensor, levels: int = 4) -> Tensor:
    """Sum over octaves of the mean absolute difference of the band-pass pyramids, the low-pass rest included.

    Octaves are made by 2x2 averaging. Fine detail and the average brightness weigh alike.
    """
    rest, total = a - b, a.new_zeros(a.shape[0])  # the pyramid is linear: that of the difference serves
    for _ in range(levels):
        low = F.avg_pool2d(rest, 2)
        band = rest - F.interpolate(low, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total, rest = total + band.abs().flatten(1).mean(1), low
    return total + rest.abs().flatten(1).mean(1)
