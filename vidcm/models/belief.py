"""How much to believe of what the frames beyond a pair tell.

    expected = g(one side, the other, tau) * strayed(one side) + g(the other, the one, 1 - tau) * strayed(the other)

`strayed` is by how much things stray from even motion at tau were the acceleration that one side shows a steady one
(vidcm/models/acceleration.py). It mostly is not: what changed speed before the pair goes on evenly within it, and both
sides then tell different things. `g` sees how large both are and how well they agree, numbers that no turn and no
mirror changes, and treats both sides alike: what it learns of one direction holds in every one, forwards as backwards.
That is why it finds more in the same footage than the DiT, which has to learn each direction by itself
(docs/log.md, 45).

Which side is right is often open: what the one tells happened, or did not. A sample is a draw of the shares: what one
side gets more the other gets less (`drawn`), so that a thing, and all that a camera sees, strays as a whole and
along its path, by as much as both sides differ and not at all where they agree.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from vidcm.models.acceleration import CELL, FINE
from vidcm.models.layers import grown

SEEN = 16
LEAST = 0.02  # cells of the 1/4 grid: hints smaller than that do not tell how well they agree
MOST = 8.0  # of anything that `g` sees
QUIET = 0.07  # cells of the 1/4 grid: sides that differ by less than that leave nothing open
FRAME, PLACE = 0.8, 0.6  # of a draw: what all that is in a frame shares, what things beside each other share
SMOOTHED = math.sqrt(141) / 27  # standard deviation of unit noise, along one axis, after three means over three cells
FARTHEST = 4.0  # cells of the 1/4 grid, within a cell of the 1/16 grid: where DIS fails deviations are far larger


def length(vector: Tensor) -> Tensor:
    """[N, 2, h, w] -> [N, 1, h, w]; its derivative is finite at zero."""
    return (vector.square().sum(1, keepdim=True) + 1e-12).sqrt()


def compressed(cells: Tensor) -> Tensor:
    return (cells / FINE).asinh()


def disbelief(expected: Tensor, size: Tensor, true: Tensor) -> Tensor:
    """What `g` is trained for: the error of the expected deviation [N, 2, h, w] in sizes of the hints, robust: [N]."""
    missed = ((expected - true) / (size + FINE / 2)).clamp(-MOST, MOST)
    return F.huber_loss(missed, torch.zeros_like(missed), reduction="none").flatten(1).mean(1)


def told(shares: Tensor, strayed: Tensor) -> Tensor:
    """What both sides' deviations [N, 4, h, w] come to, by their shares [N, 2, h, w]: [N, 2, h, w]."""
    return shares[:, :1] * strayed[:, :2] + shares[:, 1:] * strayed[:, 2:]


def told_finely(shares: Tensor, strayed: Tensor) -> tuple[Tensor, Tensor]:
    """The same of shares of cells of the 1/16 grid and deviations on the 1/4 grid: the means of the cells
    [N, 2, h/4, w/4], and what is within them beside those means [N, 2, h, w], FARTHEST at most."""
    fine = told(grown(shares, CELL), strayed)
    cells = F.avg_pool2d(fine, CELL)
    return cells, (fine - grown(cells, CELL)).clamp(-FARTHEST, FARTHEST)


def drawn(shares: Tensor, strayed: Tensor, noise: Tensor) -> Tensor:
    """Shares [N, 2, h/4, w/4] drawn about those: where the sides' deviations strayed [N, 4, h, w] differ and both are
    believed alike, one gets more and the other less, all that there is at most. Where one side alone is believed, as
    where the motion to the frame beyond was not found, nothing is open.

    noise: independent Gaussian [N, 2, h/4, w/4], of the size that shares are to be drawn with."""
    cells = F.avg_pool2d(strayed, CELL)
    apart = (cells[:, :2] - cells[:, 2:]).square().sum(1, keepdim=True)
    believed = shares.abs()
    alike = 2 * believed.amin(1, keepdim=True) / believed.sum(1, keepdim=True).clamp(min=1e-6)
    frame = noise[:, :1].mean((2, 3), keepdim=True) * math.sqrt(noise[0, 0].numel())
    place = noise[:, 1:]
    for _ in range(3):
        place = F.avg_pool2d(F.pad(place, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    draw = (FRAME * frame + PLACE / SMOOTHED**2 * place) * alike * apart / (apart + QUIET**2)
    draw = draw.clamp(-1, 1)
    return shares + torch.cat((draw, -draw), dim=1)


class Belief(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.g = nn.Sequential(
            nn.Conv2d(SEEN, width, 1), nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, 1, 1)
        )
        nn.init.zeros_(self.g[-1].weight)
        nn.init.constant_(self.g[-1].bias, 0.2)

    def forward(self, hints: Tensor, doubt: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """What both flows are expected to miss [N, 2, h, w], and the size of the hints; arguments as for `shares`."""
        given = torch.cat([code.clamp(-6, 6).sinh() * doubt[:, :2] for code in (hints[:, :2], hints[:, 5:7])], dim=1)
        shares, size = self.shares(hints, doubt, tau)
        return told(shares, given.float()), size

    def shares(self, hints: Tensor, doubt: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """hints [N, HINTS, h, w]; doubt [N, PARTS, h, w]; tau [N]. Returns how much of either side's deviation is to be
        expected, [N, 2, h, w], and the size of both, [N, 1, h, w] in cells of the 1/4 grid; zero where there is none.
        """
        with torch.autocast(hints.device.type, enabled=False):
            hints, doubt, when = hints.float(), doubt.float(), tau.float().view(-1, 1, 1, 1)
            sides = hints.chunk(2, dim=1)
            codes, varies, misfits, there = zip(*(side.split((2, 1, 1, 1), dim=1) for side in sides), strict=True)
            strayed = [code.clamp(-6, 6).sinh() * doubt[:, :2] for code in codes]
            lengths = [length(x) for x in strayed]
            size = ((lengths[0].square() + lengths[1].square()) / 2 + LEAST**2).sqrt()
            agreement = (strayed[0] * strayed[1]).sum(1, keepdim=True) / size.square()
            gap, unsure = compressed(length(strayed[0] - strayed[1])), doubt[:, :2].mean(1, keepdim=True).log()
            rough = size.clamp(min=FINE / 2)
            weights = {name: weight.float() for name, weight in self.g.named_parameters()}
            shares = []
            for own, other, since in ((0, 1, when), (1, 0, 1 - when)):
                both = (own, other)
                seen = [compressed(lengths[i]) for i in both] + [lengths[i] / size for i in both] + [agreement]
                seen += [FINE * varies[i].sinh() / rough for i in both] + [varies[i] for i in both]
                seen += [misfits[i] for i in both] + [there[i] for i in both] + [since.expand_as(gap), unsure, gap]
                share = functional_call(self.g, weights, torch.cat(seen, dim=1).clamp(-MOST, MOST))
                shares.append(there[own] * share)
        return torch.cat(shares, dim=1), size * torch.maximum(*there)
