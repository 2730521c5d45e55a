"""Distances between two batches, one number per sample: [B, ...] x [B, ...] -> [B].

All are per dimension, so learning rates, clipping and logged values carry over between latent sizes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).square().mean(dim=1)


def root_mean_square(a: Tensor, b: Tensor) -> Tensor:
    """The Euclidean norm over sqrt(dimensions). Its gradient where a == b is 0."""
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1) / math.sqrt(a[0].numel())


def pseudo_huber(a: Tensor, b: Tensor, c: float = 0.00054) -> Tensor:
    """sqrt(||a - b||^2 + c^2 D) - c sqrt(D), over sqrt(D): distance and constant of iCT (arXiv:2310.14189, Table 1)."""
    return (mean_square(a, b) + c**2).sqrt() - c


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "square": mean_square,
    "root": root_mean_square,
    "huber": pseudo_huber,
}
