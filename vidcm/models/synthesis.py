"""From motion to pixels: the only part that works at full size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.models.layers import Residual, conv, silent_head
from vidcm.models.motion_decoder import Motion
from vidcm.models.warp import resize_flow, warp

STRIP = 2**19  # pixels that are made at once: the network's features at full size would need more than all the rest
HALO = 8  # rows around a strip that its convolutions see: four of 3x3 at half size


class Synthesis(nn.Module):
    """Warp both full-size ends, choose between them, and add a residual that vanishes where both agree."""

    def __init__(self, hidden: int = 16, width: int = 32):
        super().__init__()
        self.body = nn.Sequential(conv(28 + hidden, width), Residual(width))
        self.head = silent_head(width, 16)

    def forward(
        self, motion: Motion, first: Tensor, last: Tensor, present: Tensor, strip: int = STRIP
    ) -> tuple[Tensor, Tensor]:
        """first, last: [N, 3, H, W] in 0..1, H and W even; present [N, 2]. Planes beyond three (alpha) are moved and
        chosen as the picture is, and nothing is added to them. Returns the frame, which may overshoot 0..1,
        and the disagreement of the two warps [N, 1, H, W], weighted by how undecided the mask is.

        Strips of about `strip` pixels a picture are made one after the other; the result is that of the whole."""
        height, width = first.shape[-2:]
        rows = max(2 * HALO, strip // width // 2 * 2)
        mask = F.interpolate(motion.mask, size=(height, width), mode="bilinear", align_corners=False)
        hidden = F.interpolate(motion.hidden, size=(height // 2, width // 2), mode="bilinear", align_corners=False)
        flows = [resize_flow(flow, (height, width)) for flow in motion.flows]
        made = []
        for start in range(0, height, rows):
            top, end = max(0, start - HALO), min(height, start + rows + HALO)
            warped = (
                warp(image, flow[:, :, top:end], "bicubic", top)
                for image, flow in zip((first, last), flows, strict=True)
            )
            strips = self.blend(*warped, mask[:, :, top:end], hidden[:, :, top // 2 : end // 2], present)
            made.append([x[:, :, start - top : start - top + rows] for x in strips])
        frame, doubt = (x[0] if len(x) == 1 else torch.cat(x, dim=2) for x in zip(*made, strict=True))
        return frame, doubt

    def blend(
        self, first: Tensor, last: Tensor, mask: Tensor, hidden: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """first, last: the ends, warped [N, 3 or more, h, w]; mask [N, 1, h, w]; hidden [N, C, h/2, w/2]."""
        there = present[:, :, None, None, None].to(first.dtype)
        first, last = (
            there[:, 0] * first + (1 - there[:, 0]) * last,
            there[:, 1] * last + (1 - there[:, 1]) * first,
        )
        rgb = first[:, :3], last[:, :3]
        seen = torch.cat((rgb[0] - 0.5, rgb[1] - 0.5, (mask / 4).to(first.dtype)), dim=1)
        seen = torch.cat((F.pixel_unshuffle(seen, 2).to(hidden.dtype), hidden), dim=1)
        change = F.pixel_shuffle(self.head(self.body(seen)).float(), 2)
        choice = torch.sigmoid(mask + change[:, 3:])
        gap = (rgb[0] - rgb[1]).abs().amax(1, keepdim=True)
        added = F.pad(change[:, :3].tanh() * gap, (0, 0, 0, 0, 0, first.shape[1] - 3))
        frame = choice * first + (1 - choice) * last + added
        return frame, gap * 4 * choice * (1 - choice)
