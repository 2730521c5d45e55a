"""Energy score (Gneiting & Raftery 2007, doi:10.1198/016214506000001437, section 4.3): lower is better.

    ES = E |X - y| - 1/2 E |X - X'|        X, X' independent samples of the model, y what happened

A proper score of a distribution: in expectation the true distribution wins over its own mean and over one of wrong
spread, which PSNR cannot say. With m samples, the second term runs over the m (m - 1) pairs of different ones, so that
the estimate is unbiased for any m >= 2; a single sample is scored as a point (|X - y|).
Distances are Euclidean over the last axis, divided by sqrt(its length): a root mean square.
"""

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

PATCH = 16


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """samples: [M, ..., D], truth: [..., D]. Returns [...]."""
    scale = truth.shape[-1] ** 0.5
    error = (samples - truth).norm(dim=-1).mean(dim=0) / scale
    count = len(samples)
    if count == 1:
        return error
    first, second = torch.triu_indices(count, count, offset=1, device=samples.device)
    return error - (samples[first] - samples[second]).norm(dim=-1).mean(dim=0) / (2 * scale)


def patch_energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Energy score of PATCH x PATCH RGB patches, averaged over the picture, in grey levels of 0..255.

    Of patches, since what is uncertain in a video is local: a sample may be right in one corner and wrong in another.
    samples: [M, ..., 3, H, W] in 0..1, truth: [..., 3, H, W]; rows and columns beyond whole patches are left out.
    Returns [...].
    """
    return 255 * energy_score(_patches(samples), _patches(truth)).mean(dim=-1)


def _patches(image: Tensor) -> Tensor:
    """[..., 3, H, W] -> [..., N, 3 * PATCH * PATCH]."""
    height, width = (side - side % PATCH for side in image.shape[-2:])
    return pixel_unshuffle(image[..., :height, :width], PATCH).flatten(-2).transpose(-1, -2)
