"""Luma of RGB images, the one channel most metrics look at."""

from torch import Tensor


def luma(image: Tensor) -> Tensor:
    """BT.601 weights, as the reference codes of SSIM and GMSD have. [..., 3, H, W] -> [..., 1, H, W], same range."""
    red, green, blue = image.unbind(-3)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)
