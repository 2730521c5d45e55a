"""What stands still in front of the source frames stands there in the frames made between them, too."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidcm.models.synthesis import grown_rows

SURE = 0.5  # of a place that wholly belongs to an overlay: an edge that is half in it is not to be moved either
SHINES, REPLACED = 0.15, 0.25  # of 0..1, in any channel: more than what shines through changes by, and surely another
BAND = 2**18  # pixels that are held at once: a few more pictures in floats would be most of what 4K has


def held_still(
    made: Tensor,
    taus: Sequence[float],
    ends: tuple[Tensor | None, Tensor | None],
    overlays: Sequence[np.ndarray | None],
) -> Tensor:
    """`made` [3, K, H, W] itself, with the pixels of the ends [3, H, W] wherever overlays are; None: absent.

    Where both ends have the same one their pixels are blended by nearness, for what shines through. Where one has, or
    the last end has another, the first end's are held: what it shows until the next frame, and its ground until there
    is something in front of it.
    """
    height, width = made.shape[-2:]
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        end = min(height, top + rows)
        weights = [weight_of(overlay, made, top, end) for overlay in overlays]
        total = torch.maximum(*weights)
        if total.any():
            first, last = (each if each is None else each[:, None, top:end].to(made.device) for each in ends)
            held, band = _held(first, last, weights, taus), made[:, :, top:end]
            band.copy_(torch.lerp(band, held.expand_as(band).to(made.dtype), total.to(made.dtype)))
    return made


def _held(first: Tensor | None, last: Tensor | None, weights: Sequence[Tensor], taus: Sequence[float]) -> Tensor:
    """What is shown where an overlay is, [3, K or 1, h, w]. weights: of the ends, [h, w]."""
    if first is None or last is None:
        held = last if first is None else first
        assert held is not None
        return held
    differ = (first - last).abs().amax(dim=0)
    same = ((REPLACED - differ) / (REPLACED - SHINES)).clamp(0, 1)
    both = torch.minimum(*weights) / torch.maximum(*weights).clamp(min=1e-6) * same
    towards = both * torch.tensor(taus).to(both)[:, None, None]
    return torch.lerp(*torch.broadcast_tensors(first, last), towards)


def weight_of(overlay: np.ndarray | None, like: Tensor, top: int, end: int) -> Tensor:
    """How much of the rows top..end of the picture `like` [..., H, W] is taken from the ends: 0..1 [rows, W]."""
    height, width = like.shape[-2:]
    if overlay is None:
        return torch.zeros((end - top, width), device=like.device)
    small = torch.from_numpy(overlay)[None, None].to(like.device)
    return (grown_rows(small, (height, width), top, end)[0, 0] / SURE).clamp(max=1)
