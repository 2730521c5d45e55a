"""Frames together with what their maker thinks of them."""

from typing import NamedTuple

from torch import Tensor

NEAR_DB = 30.0  # PSNR from which on a made frame counts as near to what a camera would have seen


class Judged(NamedTuple):
    """frames: RGB [3, K, H, W]; scores: how likely each one is near (NEAR_DB), 0..1 [K], float32 on the CPU."""

    frames: Tensor
    scores: Tensor


def judged(answer: Tensor | Judged) -> Judged | tuple[Tensor, None]:
    """(frames, scores or None) of what an interpolator returned."""
    return answer if isinstance(answer, Judged) else (answer, None)
