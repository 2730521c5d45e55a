"""Peak signal-to-noise ratio, in dB, higher is better."""

from torch import Tensor

CEILING_DB = 100.0  # identical images; keeps a mean over frames finite


def decibel(mse: Tensor) -> Tensor:
    """Mean squared error of values in 0..1 -> dB, at most CEILING_DB. A NaN stays one."""
    return -10 * mse.clamp(min=10 ** (-CEILING_DB / 10)).log10()


def psnr(rebuilt: Tensor, truth: Tensor) -> Tensor:
    """RGB in 0..1, [..., 3, H, W] each -> [...]: -10 log10 of the error over all pixels and channels."""
    return decibel((rebuilt - truth).square().mean(dim=(-3, -2, -1)))
