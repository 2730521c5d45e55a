"""How the latent writes what two frames cannot tell: where the starting flows are off, and which end shows the place.

A correction [N, 5, h, w] holds those of the flows to (first, last), and visibility: 1 where the first end alone shows
what is there, -1 where the last one does. What both flows' corrections share moves a thing along its path; their
difference matches other pixels to each other. Each part is divided by its `doubt`, the mean size that the ends let
expect, so that one unit of z means the same on a still wall and in a waving crowd: a sampler's small error stays small
where nothing moves.
"""

import torch
from torch import Tensor

PARTS = 5
LARGEST = 3.0  # of a code: sinh(3) = 10 times the doubt
DEAD = (0.03, 0.03, 0.03, 0.03, 0.1)  # size of a mean part that is the measurement's own noise: cells; visibility
NOISE = 6 / 255  # difference from the truth that tells nothing about which end shows it


def visibility(truth: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Which of the ends, warped onto the true picture, equals it: [N, 1, h, w] in -1 (the last) .. 1 (the first)."""
    miss_first, miss_last = ((truth - end).abs().mean(1, keepdim=True) for end in (first, last))
    return (miss_last - miss_first) / (miss_last + miss_first + NOISE)


def parts(correction: Tensor) -> Tensor:
    """(what the corrections of both flows share, by what that to the last exceeds the other, visibility)."""
    first, last, visible = correction.split((2, 2, 1), dim=1)
    return torch.cat(((first + last) / 2, last - first, visible), dim=1)


def significant(part: Tensor) -> Tensor:
    """Mean parts [N, 5, h, w] without what is noise in them: far below DEAD nothing is left, far above it all.

    A sampler that had to imitate that noise would shake still, sharp pictures by as much."""
    power = part.square()
    return part * power / (power + part.new_tensor(DEAD).view(1, PARTS, 1, 1).square())


def compress(part: Tensor, doubt: Tensor) -> Tensor:
    """Parts [N, 5, h, w] -> code of about unit size; odd, monotonous in each part. doubt [N, 5, h, w] > 0."""
    return (part / doubt).asinh()


def expand(code: Tensor, doubt: Tensor) -> Tensor:
    """The correction whose parts `compress` made a code of, up to LARGEST."""
    common, match, visible = (code.clamp(-LARGEST, LARGEST).sinh() * doubt).split((2, 2, 1), dim=1)
    return torch.cat((common - match / 2, common + match / 2, visible), dim=1)


def surprise(part: Tensor, doubt: Tensor) -> Tensor:
    """Negative log-likelihood, up to a constant, of parts [N, 5, h, w] under Laplace laws of mean size `doubt`: [N]."""
    return (part.abs() / doubt + doubt.log()).flatten(1).mean(1)
