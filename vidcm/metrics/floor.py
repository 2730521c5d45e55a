"""What a distance between sets reads where there is none: one half of the held-out clips against the other.

A distance between two finite sets of one law is not 0. `judged` gives a metric of samples against held-out clips and
its floor at the same sizes: both against the same halves, so that what remains of the difference is the model's.

Clips of one video are alike. Where `groups` says which belong together, a half is made of whole groups, as held-out
clips and samples have no video in common either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Metric = Callable[[Tensor, Tensor], float]
SPLITS = 8


@dataclass(frozen=True)
class Judged:
    """value: of the samples; floor: of held-out clips in their place; deviation: of the floor over the splits."""

    value: float
    floor: float
    deviation: float


def judged(
    metric: Metric,
    samples: Tensor,
    reference: Tensor,
    *,
    groups: Sequence[object] | None = None,
    paired: bool = False,
    splits: int = SPLITS,
    seed: int = 0,
) -> Judged:
    """metric(samples, reference) and its floor, means over random halves of the reference [M, D], M at least 4.

    For each split samples [N, D] that are more than the half they stand for are thinned to its size, at random; paired:
    sample i was made from held-out clip i, and only those of the half they stand for are taken: none of them has seen
    a clip that it is compared with.
    """
    generator = torch.Generator().manual_seed(seed)
    values, floors = [], []
    for one, other in halves(len(reference), groups, splits, seed):
        chosen = other if paired else torch.randperm(len(samples), generator=generator)[: len(other)]
        values.append(metric(samples[chosen], reference[one]))
        floors.append(metric(reference[other], reference[one]))
    spread = torch.tensor(floors, dtype=torch.float64)
    return Judged(sum(values) / splits, spread.mean().item(), spread.std(correction=0).item())


def halves(
    size: int, groups: Sequence[object] | None = None, splits: int = SPLITS, seed: int = 0
) -> list[tuple[Tensor, Tensor]]:
    """`splits` random pairs of halves of 0 .. size - 1; whole groups, as equal in size as their order allows.

    Raises ValueError where there are fewer than two groups."""
    names = list(range(size)) if groups is None else list(groups)
    if len(names) != size:
        raise ValueError(f"groups must name one of each of the {size} clips, got {len(names)}")
    members: dict[object, list[int]] = {}
    for index, name in enumerate(names):
        members.setdefault(name, []).append(index)
    if len(members) < 2:
        raise ValueError(f"held-out clips must be of at least two sources to be halved, got {len(members)}")
    generator = torch.Generator().manual_seed(seed)
    return [_halved(list(members.values()), generator) for _ in range(splits)]


def _halved(groups: list[list[int]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Group after group, in random order, to the half that is smaller so far."""
    sides: tuple[list[int], list[int]] = ([], [])
    for place in torch.randperm(len(groups), generator=generator).tolist():
        min(sides, key=len).extend(groups[place])
    return torch.tensor(sides[0]), torch.tensor(sides[1])
