"""Gradient magnitude similarity deviation (Xue et al. 2013, arXiv:1308.3052), 0 is identical, lower is better.

    GMS = (2 m_x m_y + c) / (m_x^2 + m_y^2 + c)        m: Prewitt gradient magnitude of luma at half size
    GMSD = standard deviation of GMS over the picture

c = 170 for values in 0..255. Half size is the mean of 2 x 2 cells; only gradients wholly inside the picture count
(the reference code pads with zeros).
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from vidcm.metrics.luma import luma

C = 170 / 255**2  # for values in 0..1


def _gradient_magnitude(image: Tensor) -> Tensor:
    """Prewitt, a third in every tap. [N, 1, H, W] -> [N, 1, H - 2, W - 2]."""
    tap = torch.tensor([1.0, 0.0, -1.0], dtype=image.dtype, device=image.device) / 3
    across = tap.expand(3, 3).reshape(1, 1, 3, 3)
    kernels = torch.cat([across, across.mT])
    return conv2d(image, kernels).square().sum(dim=1, keepdim=True).sqrt()


def gmsd(rebuilt: Tensor, truth: Tensor) -> Tensor:
    """RGB in 0..1, [..., 3, H, W] each, H and W at least 6. Returns [...]."""
    lead = rebuilt.shape[:-3]
    x, y = (
        _gradient_magnitude(avg_pool2d(luma(image).reshape(-1, 1, *image.shape[-2:]), 2)) for image in (rebuilt, truth)
    )
    similarity = (2 * x * y + C) / (x**2 + y**2 + C)
    return similarity.std(dim=(-3, -2, -1), correction=0).view(lead)
