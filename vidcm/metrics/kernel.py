"""Kernel distance: the squared maximum mean discrepancy (Gretton et al. 2012, jmlr.org/papers/v13/gretton12a.html).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)       x, x' ~ a and y, y' ~ b, all independent

Unbiased: means run over pairs of different points, so that in expectation it is 0 for two sets of one law, whatever
their sizes; a single value may be negative. Two kernels of D coordinates:

    polynomial    (<x, y> / D + 1)^3, that of KID (arXiv:1801.01401): moments up to the third
    rbf           exp(-|x - y|^2 / (2 h^2)), h the median distance between points of the reference: all moments
"""

import torch
from torch import Tensor


def polynomial_distance(samples: Tensor, reference: Tensor) -> float:
    """samples: [N, D], reference: [M, D], of mean 0 and deviation 1 over the reference or so; N and M at least 2."""
    x, y = samples.double(), reference.double()
    return _unbiased(*(((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))))


def rbf_distance(samples: Tensor, reference: Tensor, bandwidth: float | None = None) -> float:
    """samples: [N, D], reference: [M, D]; N and M at least 2. bandwidth: h; None: the median, `median_distance`."""
    x, y = samples.double(), reference.double()
    h = median_distance(y) if bandwidth is None else bandwidth
    return _unbiased(*((-torch.cdist(a, b).square() / (2 * h**2)).exp() for a, b in ((x, x), (y, y), (x, y))))


def median_distance(points: Tensor) -> float:
    """Between different points [N, D], N at least 2."""
    return torch.pdist(points.double()).median().item()


def _unbiased(xx: Tensor, yy: Tensor, xy: Tensor) -> float:
    return (_mean_of_different(xx) + _mean_of_different(yy) - 2 * xy.mean()).item()


def _mean_of_different(kernel: Tensor) -> Tensor:
    count = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))
