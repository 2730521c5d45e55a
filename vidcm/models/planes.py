"""Pictures along a flow at full size, with what goes along with red, green and blue: alpha, and light beyond white.

A bicubic look-up overshoots beside an edge. In colours that is crispness; in alpha it is a rim that nobody drew, and in
light, whose highlights are logarithms, a halo by half as bright again as the lamp. Both therefore stay within the four
pixels that they are looked up between.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from vidcm.media.alpha import GROUND, LEAST
from vidcm.models.warp import pixel_grid, warp

MOST = 2.0  # times: what is left of colours where alpha nearly vanished would be noise


def moved(image: Tensor, flow: Tensor, top: int = 0) -> Tensor:
    """`warp` in "bicubic" of RGB [B, 3, H, W] as it is; of pictures laid over grey with their alpha (4 planes, see
    `media.alpha`); of layers of light (6 or 7, see `media.light`)."""
    found, planes = warp(image, flow, "bicubic", top), image.shape[1]
    if planes == 4:
        return covered(found, *span(pixels(image[:, 3:], flow, top)))
    if planes > 4:
        return lit(found, *span(map(summed, pixels(image, flow, top))))
    return found


def pixels(image: Tensor, flow: Tensor, top: int = 0) -> Iterator[Tensor]:
    """The four pixels around each place that `warp` looks up, [B, C, h, w] each."""
    grid = pixel_grid(flow) + flow.float()
    columns = _beside(grid[:, 0], image.shape[-1])
    rows = _beside(grid[:, 1] + top, image.shape[-2])
    table = image.flatten(2)
    for row in rows:
        for column in columns:
            place = (row * image.shape[-1] + column).flatten(1)[:, None].expand(-1, image.shape[1], -1)
            yield table.gather(2, place).view(*image.shape[:2], *flow.shape[-2:])


def _beside(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixels before and behind places along an axis; any, where a place is not a number."""
    before = place.floor().nan_to_num().long().clamp_(0, size - 1)
    return before, (before + 1).clamp_(max=size - 1)


def span(each: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The least and the most, elementwise."""
    first, *others = each
    least, most = first, first
    for x in others:
        least, most = torch.minimum(least, x), torch.maximum(most, x)
    return least, most


def covered(found: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """Alpha of [B, 4, h, w] within its bounds [B, 1, h, w]; the colours that it covers stay what they are."""
    alpha = found[:, 3:]
    held = alpha.clamp(least, most)
    share = (held / alpha.clamp(min=LEAST)).clamp(max=MOST)
    return torch.cat((GROUND + (found[:, :3] - GROUND) * share, held), dim=1)


def lit(found: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """Layers of light [B, 6 or 7, h, w] whose sum, and alpha, are within their bounds [B, 3 or 4, h, w]. The layer that
    networks see is held within 0..1, so that nobody clips it later, and the sum with it."""
    inside, held = found[:, :3].clamp(0, 1), summed(found).clamp(least, most)
    return torch.cat((inside, held[:, :3] - inside, held[:, 3:]), dim=1)


def summed(layers: Tensor) -> Tensor:
    """Layers of light -> what is seen, and alpha."""
    return torch.cat((layers[:, :3] + layers[:, 3:6], layers[:, 6:]), dim=1)
