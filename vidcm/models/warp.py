"""Warping images and features along a flow, and carrying a flow to another instant.

Flows are [B, 2, H, W] (x, y) in pixels of their own grid; see vidcm.media.motion for the sign.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_grid(like: Tensor) -> Tensor:
    """Coordinates (x, y) of every cell of `like` [..., H, W]: float32 [1, 2, H, W]."""
    height, width = like.shape[-2:]
    y = torch.arange(height, dtype=torch.float32, device=like.device)
    x = torch.arange(width, dtype=torch.float32, device=like.device)
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))[None]


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Look `image` [B, C, H, W] up at every pixel displaced by `flow` [B, 2, H, W]; the border repeats outside.

    Sampling positions are float32 whatever the precision of the image: bf16 cannot tell neighbouring pixels at 1080p.
    """
    height, width = image.shape[-2:]
    position = pixel_grid(image) + flow.float()
    scale = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=flow.device).view(1, 2, 1, 1)
    grid = (position * scale - 1).permute(0, 2, 3, 1).clamp(-1, 1)  # repeats the border; MPS lacks that padding mode
    sampled = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return sampled.to(image.dtype)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a flow to another grid of the same picture; displacements are rescaled with it."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    scale = torch.tensor([size[1] / width, size[0] / height], dtype=flow.dtype, device=flow.device).view(1, 2, 1, 1)
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * scale


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


def project_flow(forward: Tensor, backward: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """The motion from the instant tau to both ends, given the motion between the ends (linear in time).

    forward: first -> last, backward: last -> first, [B, 2, H, W]; tau [B] in (0, 1).
    Each end's flow is splatted to tau and the two are mixed by how near their end is; where nothing lands, the flow
    that stands at the same place serves. Returns (tau -> first, tau -> last).
    """
    tau = tau.view(-1, 1, 1, 1).float()
    ones = torch.ones_like(forward[:, :1])
    sum_forward, weight_forward = splat(forward, tau * forward, (1 - tau) * ones)
    sum_backward, weight_backward = splat(-backward, (1 - tau) * backward, tau * ones)
    standing = (1 - tau) * forward - tau * backward
    holes = 1e-2  # the weight of the standing flow: decides only where nothing lands
    motion = (sum_forward + sum_backward + holes * standing) / (weight_forward + weight_backward + holes)
    return -tau * motion, (1 - tau) * motion
