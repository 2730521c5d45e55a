"""Flicker: brightness that pumps between source and generated frames, in grey levels of 0..255, lower is better.

    flicker = mean over t, cells | B(R[t+1] - R[t]) - B(G[t+1] - G[t]) |

R is the rebuilt sequence *with its source frames in place*, G the true one, B the mean luma of cells of CELL x CELL
pixels: an edge that is off by a pixel cancels within a cell and is left to the other metrics, a patch that brightens
and darkens with every second frame is not. Generated frames all brighter by d levels between untouched sources: flicker
is d for factor 2 and 2 d / factor in general. A change that the truth makes too costs nothing.
"""

from torch import Tensor
from torch.nn.functional import avg_pool2d

from vidcm.metrics.luma import luma

CELL = 8


def _cell_change(sequence: Tensor) -> Tensor:
    return avg_pool2d(luma(sequence), CELL, ceil_mode=True).diff(dim=0)


def flicker(rebuilt: Tensor, truth: Tensor) -> Tensor:
    """Sequences [T, 3, H, W] in 0..1, T at least 2, from one source frame to the next. Returns a scalar."""
    return 255 * (_cell_change(rebuilt) - _cell_change(truth)).abs().mean()
