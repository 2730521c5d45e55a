"""Distances between two batches, one number per sample: [B, ...] x [B, ...] -> [B].

Both are per dimension, so learning rates, clipping and logged values carry over between latent sizes.
"""

import math

import torch
from torch import Tensor


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).square().mean(dim=1)


def root_mean_square(a: Tensor, b: Tensor) -> Tensor:
    """The Euclidean norm over sqrt(dimensions). Its gradient where a == b is 0."""
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1) / math.sqrt(a[0].numel())
