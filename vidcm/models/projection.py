"""The motion between two frames, carried to an instant between them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcm.models.warp import pixel_grid, warp

DECISIVE = 3 / 255  # difference in how well two candidates explain the ends at which one outweighs the other e-fold


def splat(values: Tensor, flow: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Send every cell along its flow and add it up, bilinearly, where it lands.

    values [B, C, H, W]; flow [B, 2, H, W]; weight [B, 1, H, W] >= 0. float32.
    Returns the sum of weight * value [B, C, H, W] and the sum of weight [B, 1, H, W]; what leaves the picture is lost.
    """
    batch, channels, height, width = values.shape
    x, y = (pixel_grid(flow) + flow).unbind(1)
    payload = torch.cat((values * weight, weight), dim=1).flatten(2)
    total = payload.new_zeros(batch, channels + 1, height * width)
    for corner_x in (x.floor(), x.floor() + 1):
        for corner_y in (y.floor(), y.floor() + 1):
            share = (1 - (x - corner_x).abs()) * (1 - (y - corner_y).abs())
            inside = (corner_x >= 0) & (corner_x < width) & (corner_y >= 0) & (corner_y < height)
            index = (corner_y.clamp(0, height - 1) * width + corner_x.clamp(0, width - 1)).long()
            part = payload * (share * inside).flatten(1)[:, None]
            total.scatter_add_(2, index.flatten(1)[:, None].expand_as(part), part)
    total = total.unflatten(2, (height, width))
    return total[:, :channels], total[:, channels:]


def project_flow(
    forward: Tensor, backward: Tensor, tau: Tensor, pictures: tuple[Tensor, Tensor]
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The motion from the instant tau to both ends, given the motion between the ends (linear in time).

    forward: first -> last, backward: last -> first, [B, 2, H, W]; tau [B] in (0, 1); pictures: both ends [B, 3, H, W].
    Four candidates at every place: either flow splatted to tau, and, where neither landed, either as it stands there.
    Those along which the two ends look alike weigh more: the average of two motions is none. A place that one end
    alone shows has no motion along which they do: there this is a guess, and visibility has to say so.
    Returns (tau -> first, tau -> last), and by how much the candidates differ, [B, 1, H, W], a deviation in pixels.
    """
    tau = tau.view(-1, 1, 1, 1).float()
    moved, arrived = zip(*landed(forward, backward, tau), strict=True)
    candidates = torch.stack((*moved, forward, -backward))
    empty = 1 - torch.maximum(*arrived)
    belongs = torch.stack((*arrived, empty, empty)).clamp(min=1e-30)  # all but never: a match elsewhere is chance
    alike = torch.stack([-disagreement(pictures, m, tau) for m in candidates]) / DECISIVE
    weight = torch.softmax(alike + belongs.log(), dim=0)
    motion = (weight * candidates).sum(0)
    spread = (weight * (candidates - motion).square()).sum((0, 2)).sqrt()[:, None]
    return (-tau * motion, (1 - tau) * motion), spread


def landed(forward: Tensor, backward: Tensor, tau: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Both flows, as first -> last motion, splatted to tau [B, 1, 1, 1], and how much of it landed at each place,
    0..1; where nothing did, what stands there."""
    standing = (1 - tau) * forward - tau * backward
    holes = 1e-3  # the weight of the standing flow: decides only where nothing lands
    moved = []
    for motion, path in ((forward, tau * forward), (-backward, (1 - tau) * backward)):
        total, weight = splat(motion, path, torch.ones_like(motion[:, :1]))
        moved.append(((total + holes * standing) / (weight + holes), weight.clamp(max=1)))
    return moved


def disagreement(pictures: tuple[Tensor, Tensor], motion: Tensor, tau: Tensor) -> Tensor:
    """Mean difference of the ends, brought to tau along first -> last `motion`, around every place: [B, 1, H, W]."""
    first, last = warp(pictures[0], -tau * motion), warp(pictures[1], (1 - tau) * motion)
    return F.avg_pool2d((first - last).abs().mean(1, keepdim=True), 5, 1, 2, count_include_pad=False)
