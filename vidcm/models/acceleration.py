"""What the frames beyond a pair tell of the instants within it: how far things stray from even motion.

With x(t) a thing's displacement since the first frame, t in units of the pair, and a steady acceleration a:

    x(t) = v t + a t^2 / 2,   so   a = 2 (x(-s) + s x(1)) / (s (s + 1))   for a frame s before the first,

and at tau it stands a tau (1 - tau) / 2 behind x(1) tau, where even motion would have it (quadratic interpolation,
arXiv:1911.00627). Time run backwards gives the same from the last frame and one after it. Nothing here is learned: the
DiT sees these `hints`, and decides what of them to believe.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcm.models.instants import repeated
from vidcm.models.warp import warp

HINTS = 10  # channels
UNEVEN = 2.0  # frames further off than this, or nearer than its inverse, tell nothing
CELL = 4  # cells of the 1/4 grid along the side of one of the 1/16 grid
FINE = 0.1  # cells of the 1/4 grid: deviations below it are noise


@dataclass
class Beyond:
    """Rows of a batch. pictures: (before, after), averaged to the 1/4 grid [B, 3, h, w]; flows: from first to before,
    from last to after, on it [B, 2, h, w]; steps [B, 2]: how far off in time, in units of the pair; present [B, 2]."""

    pictures: tuple[Tensor, Tensor]
    flows: tuple[Tensor, Tensor]
    steps: Tensor
    present: Tensor


def acceleration(beyond: Tensor, across: Tensor, step: Tensor) -> Tensor:
    """Of what an end shows, [B, 2, h, w] in cells per squared time between the ends.

    beyond: flow from the end to the frame `step` [B] beyond it; across: to the other end."""
    step = step.view(-1, 1, 1, 1)
    return 2 * (beyond + step * across) / (step * (step + 1))


def deviation(
    beyond: Beyond,
    pictures: tuple[Tensor, Tensor],
    across: tuple[Tensor, Tensor],
    flows: tuple[Tensor, Tensor],
    tau: Tensor,
) -> tuple[Tensor, Tensor]:
    """Seen from either end: the deviation from even motion at tau [B*K, 4, h, w], (x, y) from the first end, then from
    the last, and how badly the frame beyond fits [B*K, 2, h, w]; zero where there is none.

    pictures: of the ends, 1/4 grid; across: flows first -> last, last -> first, [B, 2, h, w]; flows: from tau to the
    ends [B*K, 2, h, w]; tau [B*K].
    """
    count = len(tau) // len(beyond.steps)
    reach = (tau * (1 - tau) / 2).view(-1, 1, 1, 1)
    strayed, misfits = [], []
    for side in range(2):
        bent = acceleration(beyond.flows[side], across[side], beyond.steps[:, side])
        misfit = (warp(beyond.pictures[side], beyond.flows[side]) - pictures[side]).abs().mean(1, keepdim=True)
        seen = repeated(torch.cat((bent, misfit), dim=1), count)
        there = repeated(beyond.present[:, side], count).view(-1, 1, 1, 1)
        bent, misfit = (there * warp(seen, flows[side])).split((2, 1), dim=1)
        strayed.append(reach * bent)
        misfits.append(misfit)
    return torch.cat(strayed, dim=1), torch.cat(misfits, dim=1)


def hints(strayed: Tensor, misfits: Tensor, present: Tensor, doubt: Tensor) -> Tensor:
    """[N, HINTS, h/4, w/4]: from either end, the deviation of a cell in the unit of the latent's code, by how much it
    varies within the cell, how badly the frame beyond fits, and whether there is one.

    strayed [N, 4, h, w], misfits [N, 2, h, w]: see `deviation`; present [N, 2]; doubt [N, 5, h/4, w/4]."""
    told = []
    for side, there in enumerate(present.unbind(1)):
        own, misfit = strayed[:, 2 * side : 2 * side + 2], misfits[:, side, None]
        mean = F.avg_pool2d(own, CELL)
        varies = (F.avg_pool2d(own.square(), CELL) - mean.square()).sum(1, keepdim=True).clamp(min=0).sqrt()
        code = (mean / doubt[:, :2]).asinh()
        side_told = (code, (varies / FINE).asinh(), 16 * F.avg_pool2d(misfit, CELL), torch.ones_like(varies))
        told.append(there.view(-1, 1, 1, 1) * torch.cat(side_told, dim=1))
    return torch.cat(told, dim=1)
