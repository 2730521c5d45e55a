"""Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861) on luma, 1 is identical.

    SSIM = (2 mu_x mu_y + c1)(2 sigma_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(sigma_x^2 + sigma_y^2 + c2))

Gaussian window of 11 x 11, sigma 1.5, windows wholly inside the picture, k1 = 0.01, k2 = 0.03, one scale.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from vidcm.metrics.luma import luma

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values in 0..1


def _blur(image: Tensor) -> Tensor:
    """Separable Gaussian, no padding. [N, 1, H, W] -> [N, 1, H - 10, W - 10]."""
    offset = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - WINDOW // 2
    kernel = (-(offset**2) / (2 * SIGMA**2)).exp()
    kernel = kernel / kernel.sum()
    return conv2d(conv2d(image, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


def ssim(rebuilt: Tensor, truth: Tensor) -> Tensor:
    """RGB in 0..1, [..., 3, H, W] each, H and W at least 11. Returns [...]: the mean over windows."""
    lead = rebuilt.shape[:-3]
    x, y = (luma(image).reshape(-1, 1, *image.shape[-2:]) for image in (rebuilt, truth))
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return similarity.mean(dim=(-3, -2, -1)).view(lead)
