"""From motion to pixels: the only part that works at full size.

In strips: a warp gathers from the whole ends, so that a strip needs more rows around it for the convolutions alone, and
is what the whole would be there. The strip is the tile: lines of pictures are short beside their number.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.core.large import is_large
from vidcm.models.layers import Residual, conv, silent_head
from vidcm.models.motion_decoder import Motion
from vidcm.models.planes import moved
from vidcm.models.stillness import REACH, Pair, rested
from vidcm.models.warp import enlarged, is_interleaved, resize_flow

STRIP = 2**18  # pixels that are made at once: the network's features at full size would need more than all the rest
HALO = max(8, REACH)  # rows around a strip that its convolutions, four of 3x3 at half size, and stillness see
LEAST_ROWS = 2 * HALO  # of a strip: with fewer most of the work would be for what is around it
# Channels of the weights, whose squares of two by two pixels are (plane, row, column), in the order of the pictures.
FOLDED = [4 * p + square for planes in ((0, 1, 2), (3, 4, 5), (6,)) for square in range(4) for p in planes]
UNFOLDED = [4 * p + square for square in range(4) for p in range(4)]


class Grown:
    """Motion at full size, (height, width), strip by strip. Of pictures that are not large it is made at once."""

    def __init__(self, motion: Motion, size: tuple[int, int]) -> None:
        self._motion, self._size, self._is_large = motion, size, is_large(*size)
        if not self._is_large:
            self._mask = enlarged(motion.mask, size)
            half = (size[0] // 2, size[1] // 2)
            self._hidden = F.interpolate(motion.hidden, size=half, mode="bilinear", align_corners=False)
            self._flows = [resize_flow(flow, size) for flow in motion.flows]

    def rows(self, top: int, end: int) -> tuple[Pair, Tensor, Tensor]:
        """Flows and mask of the rows top..end, and hidden features of half as many; both even."""
        if not self._is_large:
            to_first, to_last = (flow[:, :, top:end] for flow in self._flows)
            return (to_first, to_last), self._mask[:, :, top:end], self._hidden[:, :, top // 2 : end // 2]
        height, width = self._size
        to_first, to_last = (grown_flow(flow, self._size, top, end) for flow in self._motion.flows)
        mask = grown_rows(self._motion.mask, self._size, top, end)
        return (to_first, to_last), mask, grown_rows(self._motion.hidden, (height // 2, width // 2), top // 2, end // 2)


def grown_flow(flow: Tensor, size: tuple[int, int], top: int, end: int) -> Tensor:
    """Rows top..end of `resize_flow(flow, size)`."""
    height, width = flow.shape[-2:]
    scale = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return grown_rows(flow * scale, size, top, end)


def grown_rows(x: Tensor, size: tuple[int, int], top: int, end: int) -> Tensor:
    """Rows top..end of `F.interpolate(x, size, mode="bilinear", align_corners=False)`, without the others."""
    least = x.shape[-2]
    place = torch.arange(top, end, dtype=torch.float32, device=x.device)
    place = ((place + 0.5) * (least / size[0]) - 0.5).clamp(0, least - 1)
    above = place.long()
    share = (place - above).view(-1, 1)
    between = (1 - share) * picked(x, above) + share * picked(x, (above + 1).clamp(max=least - 1))
    return enlarged(between, (end - top, size[1])).to(x.dtype)


def picked(x: Tensor, rows: Tensor) -> Tensor:
    """`x[:, :, rows]`, channels last if they were."""
    return x.permute(0, 2, 3, 1)[:, rows].permute(0, 3, 1, 2) if is_interleaved(x) else x[:, :, rows]


def warp_in_strips(image: Tensor, flow: Tensor, strip: int = STRIP) -> Tensor:
    """`image` [N, C, H, W], `moved` at full size along a flow of any grid."""
    height, width = image.shape[-2:]
    whole = None if is_large(height, width) else resize_flow(flow, (height, width))
    rows, made = max(1, strip // width), torch.empty_like(image)
    for top in range(0, height, rows):
        end = min(height, top + rows)
        along = grown_flow(flow, (height, width), top, end) if whole is None else whole[:, :, top:end]
        made[:, :, top:end] = moved(image, along, top)
    return made


class Synthesis(nn.Module):
    """Warp both full-size ends but for what is at rest, choose between them, and add a residual that vanishes where
    both agree."""

    def __init__(self, hidden: int = 16, width: int = 32):
        super().__init__()
        self.body = nn.Sequential(conv(28 + hidden, width), Residual(width))
        self.head = silent_head(width, 16)

    def forward(
        self, motion: Motion, first: Tensor, last: Tensor, present: Tensor, strip: int = STRIP
    ) -> tuple[Tensor, Tensor]:
        """first, last: [N, 3, H, W] in 0..1, H and W even; present [N, 2]. Planes beyond three (alpha) are `moved`
        and chosen as the picture is, and nothing is added to them. Returns the frame, which may overshoot 0..1,
        and the disagreement of the two warps [N, 1, H, W], weighted by how undecided the mask is.

        Strips of about `strip` pixels a picture are made one after the other; the result is that of the whole."""
        height, width = first.shape[-2:]
        rows = max(LEAST_ROWS, strip // width // 2 * 2)
        grown = Grown(motion, (height, width))
        frame = doubt = None
        for start in range(0, height, rows):
            top, end = max(0, start - HALO), min(height, start + rows + HALO)
            flows, mask, hidden = grown.rows(top, end)
            there = first[:, :, top:end], last[:, :, top:end]
            warped = moved(first, flows[0], top), moved(last, flows[1], top)
            made = self.blend(warped, there, flows, mask, hidden, present)
            made = tuple(x[:, :, start - top : start - top + rows] for x in made)
            if rows >= height:
                return made
            if frame is None or doubt is None:  # one picture, written to in turn: joined ones would be there twice
                frame, doubt = (x.new_empty(*x.shape[:2], height, width) for x in made)
            frame[:, :, start : start + rows], doubt[:, :, start : start + rows] = made
        assert frame is not None
        assert doubt is not None
        return frame, doubt

    def blend(self, along: Pair, there: Pair, flows: Pair, mask: Tensor, hidden: Tensor, present: Tensor) -> Pair:
        """along, there: the ends, warped along `flows` [N, 2, h, w] and in their places [N, 3 or more, h, w]; mask
        [N, 1, h, w]; hidden [N, C, h/2, w/2]."""
        first, last = along
        to_ask_is_to_wait = present.device.type != "cpu" or torch.compiler.is_compiling()
        if to_ask_is_to_wait or not present.all():
            known = present[:, :, None, None, None].to(first.dtype)
            first, last = (
                known[:, 0] * first + (1 - known[:, 0]) * last,
                known[:, 1] * last + (1 - known[:, 1]) * first,
            )
        change = self.change(first[:, :3], last[:, :3], mask, hidden)
        first, last = rested((first.contiguous(), last.contiguous()), there, flows, present)  # planes from here on
        gap = (first[:, :3] - last[:, :3]).abs().amax(1, keepdim=True)
        choice = torch.sigmoid(mask + change[:, 3:])
        frame = torch.lerp(last, first, choice)
        frame[:, :3] += (2 * torch.sigmoid(2 * change[:, :3]) - 1) * gap  # tanh, in a tenth of its time on a CPU
        return frame, gap * 4 * choice * (1 - choice)

    def change(self, first: Tensor, last: Tensor, mask: Tensor, hidden: Tensor) -> Tensor:
        """What the network adds: colour, before it is bounded, and the mask's logit, [N, 4, h, w] float32.

        Works on squares of two by two pixels, whose values it has in the order (row, column, plane) where the weights
        have (plane, row, column): the order in which a picture with channels last lies in memory."""
        shown = (first - 0.5, last - 0.5, (mask / 4).to(first.dtype))
        rows = [row for x in shown for row in folded(x.to(hidden.dtype))]
        seen = torch.cat((*rows, hidden.permute(0, 2, 3, 1)), dim=-1).permute(0, 3, 1, 2)
        opening, act = self.body[0]
        weight = torch.cat((opening.weight[:, FOLDED], opening.weight[:, len(FOLDED) :]), dim=1)
        seen = self.body[1](act(F.conv2d(seen, weight, opening.bias, padding=1)))
        change = F.conv2d(seen, self.head.weight[UNFOLDED], self.head.bias[UNFOLDED], padding=1)
        return unfolded(change).float().contiguous()


def folded(x: Tensor) -> tuple[Tensor, ...]:
    """[N, C, h, w] -> two of [N, h/2, w/2, 2C]: the upper and the lower pixels of squares of two by two."""
    batch, planes, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2 * planes).unbind(2)


def unfolded(x: Tensor) -> Tensor:
    """[N, 4 C, h/2, w/2], the values of a square in the order (row, column, plane) -> [N, C, h, w]."""
    batch, values, height, width = x.shape
    squares = x.permute(0, 2, 3, 1).reshape(batch, height, width, 2, values // 2).transpose(2, 3)
    return squares.reshape(batch, 2 * height, 2 * width, values // 4).permute(0, 3, 1, 2)
