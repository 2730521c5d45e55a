"""What stands still in front of the source frames stands there in the frames made between them, too."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SURE = 0.5  # of a place that wholly belongs to an overlay: an edge that is half in it is not to be moved either
SHINES, REPLACED = 0.15, 0.25  # of 0..1, in any channel: more than what shines through changes by, and surely another


def held_still(
    made: Tensor,
    taus: Sequence[float],
    ends: tuple[Tensor | None, Tensor | None],
    overlays: Sequence[np.ndarray | None],
) -> Tensor:
    """The frames made [3, K, H, W], with the pixels of the ends [3, H, W] wherever overlays are; None: absent.

    Where both ends have the same one their pixels are blended by nearness, for what shines through. Where one has, or
    the last end has another, the first end's are held: what it shows until the next frame, and its ground until there
    is something in front of it.
    """
    weights = [weight_of(overlay, made) for overlay in overlays]
    total = torch.maximum(*weights)
    if not total.any():
        return made
    first, last = (end if end is None else end.to(made.device)[:, None] for end in ends)
    if first is None or last is None:
        held = last if first is None else first
        assert held is not None
    else:
        differ = (first - last).abs().amax(dim=0)
        same = ((REPLACED - differ) / (REPLACED - SHINES)).clamp(0, 1)
        both = torch.minimum(*weights) / total.clamp(min=1e-6) * same
        towards = both * torch.tensor(taus).to(total)[:, None, None]
        held = torch.lerp(*torch.broadcast_tensors(first, last), towards)
    return torch.lerp(made, held.expand_as(made).to(made.dtype), total.to(made.dtype))


def weight_of(overlay: np.ndarray | None, like: Tensor) -> Tensor:
    """How much of the picture `like` [..., H, W] is taken from the ends: 0..1 [H, W]."""
    if overlay is None:
        return torch.zeros(like.shape[-2:], device=like.device)
    small = torch.from_numpy(overlay)[None, None].to(like.device)
    size = (like.shape[-2], like.shape[-1])
    return (F.interpolate(small, size=size, mode="bilinear", align_corners=False)[0, 0] / SURE).clamp(max=1)
