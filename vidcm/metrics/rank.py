"""Spearman's rank correlation: whether one quantity orders things as another one does, whatever their units."""

from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """[N] -> 0 .. N - 1 by size, float64; equal values share the mean of their ranks."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    return (ends - (counts + 1) / 2).double()[place]


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """[N] each -> -1 (opposite order) .. 1 (same order). NaN where either is all equal, or N is below 2."""
    x, y = (ranks(each) - (len(each) - 1) / 2 for each in (a, b))
    return float((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())
