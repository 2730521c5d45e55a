"""What stands still in front of the source frames stands there in the frames made between them, too."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from vidcm.models.synthesis import grown_rows

SURE = 0.5  # of a place that wholly belongs to an overlay: an edge that is half in it is not to be moved either
SHINES, REPLACED = 0.15, 0.25  # of 0..1, in any channel: more than what shines through changes by, and surely another
# Places between parts of one, such as the letters of a word; of what is too wide for the stroke of a letter that one
# end does not know; of a blurred edge.
JOINED, SOLID, GROWN = 5, 9, 5
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


def uncovered(
    ends: tuple[Tensor | None, Tensor | None], overlays: Sequence[np.ndarray | None], held: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What `held_still` is to take for the overlays of both ends [3, H, W]: less what something moves in front of.

    overlays: float32 0..1 [h, w] of both; held: of the first one, with what switches. Nothing passes before an overlay,
    so where an end shows something solid in less than half of one, that is ground which was taken for it; a line that
    goes goes whole.
    """
    first, last = ends
    before, after = overlays
    if first is None or last is None or before is None or after is None or before.shape != after.shape:
        return held, after
    assert held is not None  # it is `before`, and more
    either = np.maximum(before, after) > SURE
    one = either & (np.minimum(before, after) <= SURE)
    _, groups = cv2.connectedComponents(cv2.dilate(either.astype(np.uint8), np.ones((JOINED, JOINED))))
    count = np.maximum(np.bincount(groups[either], minlength=groups.max() + 1), 1)
    part = np.bincount(groups[one], minlength=len(count)) < 0.5 * count
    small = (interpolate(each[None], before.shape, mode="bilinear")[0] for each in (first, last))
    differ = torch.sub(*small).abs().amax(dim=0).cpu().numpy() > REPLACED
    other = cv2.dilate((one & part[groups] & differ).astype(np.uint8), np.ones((3, 3)))
    solid = np.unique(groups[cv2.erode(other, np.ones((SOLID, SOLID))) > 0])  # of such a group all that is another
    covered = cv2.dilate(other * np.isin(groups, solid[solid > 0]), np.ones((GROWN, GROWN))) > 0
    if not covered.any():
        return held, after
    return np.where(covered & (held <= before), 0, held), np.where(covered, 0, after)
