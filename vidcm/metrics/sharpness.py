"""Sharpness ratio: gradient energy of the rebuilt frame over that of the truth. Below 1 is blurred, above is noisy.

Gradient energy is the mean over luma of squared central differences (the Tenengrad measure with the plainest gradient):
central differences, unlike neighbouring ones or a Laplacian, give little weight to grain, which any averaging removes.
"""

from torch import Tensor

from vidcm.metrics.luma import luma


def gradient_energy(image: Tensor) -> Tensor:
    """RGB [..., 3, H, W], H and W at least 3 -> [...], per pixel, in squared units of the image."""
    grey = luma(image)
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2
    return (across.square() + down.square()).mean(dim=(-3, -2, -1))


def sharpness(rebuilt: Tensor, truth: Tensor) -> Tensor:
    """[..., 3, H, W] each -> [...]. Not finite where the truth is flat: there is nothing to compare with."""
    return gradient_energy(rebuilt) / gradient_energy(truth)
