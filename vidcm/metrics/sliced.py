"""Sliced Wasserstein-2 distance between two sets of points (Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3).

    SW^2 = mean over directions d, |d| = 1, of W_2^2(<a, d>, <b, d>)

On a line the optimal transport is that of the order: W_2^2 is the integral of the squared difference of the quantile
functions, exact here for sets of any sizes. In the units of the points: moving a set by the same amount s in each of D
coordinates is a distance of s. Finite sets are never at distance 0 from others of the same law, and further the
smaller they are: compare with the noise floor (`vidcm.metrics.floor`) at the same sizes.
"""

import torch
from torch import Tensor

DIRECTIONS = 512


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """a: [N, D], b: [M, D]. The same directions for the same seed, in whatever order and number the points come."""
    generator = torch.Generator().manual_seed(seed)
    slices = torch.randn(a.shape[1], directions, generator=generator, dtype=torch.float64)
    slices = slices / slices.norm(dim=0)
    return wasserstein2_squared(a.double().cpu() @ slices, b.double().cpu() @ slices).mean().sqrt().item()


def wasserstein2_squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance on the line, column by column: a [N, K], b [M, K] -> [K]."""
    n, m = len(a), len(b)
    steps_a, steps_b = torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n  # in units of 1 / (n m), exact
    ends = torch.cat((steps_a, steps_b)).unique()
    starts = torch.cat((ends.new_zeros(1), ends[:-1]))
    a, b = a.sort(dim=0).values, b.sort(dim=0).values
    gap = a[starts // m] - b[starts // n]
    return (gap.square() * ((ends - starts) / (n * m)).to(gap.dtype)[:, None]).sum(dim=0)
