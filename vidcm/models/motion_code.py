"""How the latent writes a correction of the starting flows: what it moves, in units of how much may be expected.

Both flows are corrected. What they have in common moves a thing along its path, which two frames cannot tell; their
difference matches other pixels to each other, which they can. Each is divided by its `doubt`, the mean length that the
ends let expect, so that one unit of z means the same on a still wall and in a waving crowd; a sampler's small error
then stays small where nothing moves.
"""

import torch
from torch import Tensor

LARGEST = 3.0  # of a code: sinh(3) = 10 times the doubt


def common_and_match(correction: Tensor) -> Tensor:
    """Corrections of the flows to (first, last), [N, 4, h, w], as (their mean, last - first)."""
    first, last = correction.chunk(2, dim=1)
    return torch.cat(((first + last) / 2, last - first), dim=1)


def compress(correction: Tensor, doubt: Tensor) -> Tensor:
    """[N, 4, h, w] -> code of about unit size; odd, monotonous in each part. doubt [N, 4, h, w] > 0."""
    return (common_and_match(correction) / doubt).asinh()


def expand(code: Tensor, doubt: Tensor) -> Tensor:
    """The inverse of `compress`, up to LARGEST."""
    common, match = (code.clamp(-LARGEST, LARGEST).sinh() * doubt).chunk(2, dim=1)
    return torch.cat((common - match / 2, common + match / 2), dim=1)


def surprise(correction: Tensor, doubt: Tensor) -> Tensor:
    """Negative log-likelihood, up to a constant, of a correction under Laplace laws of mean length `doubt`: [N]."""
    return (common_and_match(correction).abs() / doubt + doubt.log()).flatten(1).mean(1)
