"""Precision, recall and diversity of a set of samples by nearest neighbours.

    precision    share of samples that lie among the reference: no further from one of its points than that one's k-th
                 neighbour in the reference
    recall       share of the reference that lies among the samples, the same way round
    diversity    median distance of a sample to its k-th neighbour among the samples, over that of the reference

Precision and recall are arXiv:1904.06991, eqs. 1 and 2. Diversity is 1 where samples are as far apart as real clips,
and 0 where all are one: recall sees missing kinds of clips, diversity samples that crowd. All three depend on how many
points there are: compare sets of one size, and with the noise floor (`vidcm.metrics.floor`).
"""

import torch
from torch import Tensor

NEIGHBOURS = 3  # k


def precision(samples: Tensor, reference: Tensor, k: int = NEIGHBOURS) -> float:
    """samples: [N, D], reference: [M, D], M above k. Returns 0..1."""
    return (torch.cdist(samples.double(), reference.double()) <= reach(reference, k)).any(dim=1).double().mean().item()


def recall(samples: Tensor, reference: Tensor, k: int = NEIGHBOURS) -> float:
    """samples: [N, D], N above k, reference: [M, D]. Returns 0..1."""
    return precision(reference, samples, k)


def diversity(samples: Tensor, reference: Tensor, k: int = NEIGHBOURS) -> float:
    """samples: [N, D], reference: [M, D], N and M above k and of one size. 1: as far apart as the reference."""
    return (reach(samples, k).median() / reach(reference, k).median()).item()


def reach(points: Tensor, k: int) -> Tensor:
    """Distance of each point [N, D] to its k-th nearest other one, [N], float64. Of equal points it is 0."""
    wide = points.double()
    distances = torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.fill_diagonal_(0).kthvalue(k + 1, dim=1).values
