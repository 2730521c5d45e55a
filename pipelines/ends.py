"""What a call is given: the frames at both ends, the instants between them, and whether that is sound."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vidcm.core.around import ALONE, Around

NEAREST = 2.0**-20  # of tau to an end
RANGE_SLACK = 0.5  # super-whites and filters overshoot 0..1 by less; 8-bit values by far more


def checked(
    first: Tensor | None, last: Tensor | None, tau: Tensor | Sequence[float], steps: int, around: Around = ALONE
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The full-size ends, the absent one replaced by the other, and tau [B, K].

    Raises ValueError for what is no float32 tensor, sizes that differ, values not in 0..1, no end at all, tau outside
    (0, 1), or steps below 0."""
    given = first if first is not None else last
    if given is None:
        raise ValueError("first and last are both None: give at least one frame")
    _check_frames([x for x in (first, last, around.before, around.after) if x is not None])
    if steps < 0:
        raise ValueError(f"num_inference_steps must be at least 0, got {steps}")
    return (given if first is None else first, given if last is None else last), _instants(tau, given)


def _check_frames(frames: Sequence[Tensor]) -> None:
    strangers = [type(x).__name__ for x in frames if not isinstance(x, Tensor)]
    if strangers:
        raise ValueError(f"first, last and around must be float32 tensors [B, 3, H, W] in 0..1, got {strangers[0]}")
    shapes = [tuple(x.shape) for x in frames]
    if len(set(shapes)) > 1 or len(shapes[0]) != 4 or shapes[0][1] < 3:
        raise ValueError(f"first, last and around must be RGB frames [B, 3, H, W] of one size, got {shapes}")
    for frame in frames:
        least, most = extremes(frame[:, :3])
        if not frame.is_floating_point() or least < -RANGE_SLACK or most > 1 + RANGE_SLACK:
            raise ValueError("first, last and around must be floating point in 0..1: divide 8-bit frames by 255")
        if frame.dtype != torch.float32:
            raise ValueError(f"first, last and around must be float32 whatever the weights are, got {frame.dtype}")
        if not math.isfinite(least + most):
            raise ValueError("first, last and around must be numbers in 0..1, got values that are not finite")


def _instants(tau: Tensor | Sequence[float], given: Tensor) -> Tensor:
    """[B, K], on the device of a given end."""
    if isinstance(tau, Sequence):
        tau = torch.tensor([float(t) for t in tau], dtype=torch.float64)
    if not isinstance(tau, Tensor):
        raise ValueError(f"tau must be instants strictly between 0 and 1, [K] or [B, K], got {tau!r}: give a list")
    tau = tau.expand(len(given), -1) if tau.ndim == 1 else tau
    if tau.ndim != 2 or len(tau) != len(given) or tau.shape[1] == 0 or not ((tau > 0) & (tau < 1)).all():
        raise ValueError(f"tau must be instants strictly between 0 and 1, [K] or [B, K], got {tau.tolist()}")
    return tau.float().clamp(NEAREST, 1 - NEAREST).to(given.device)  # an instant next to an end may round to it


def extremes(x: Tensor) -> tuple[float, float]:
    """The least and the largest value of pictures [B, C, H, W], in one look on a CPU; not every device has that."""
    x = x.permute(0, 2, 3, 1) if x.stride(1) == 1 else x  # as it lies in memory: a fourth of the time
    least, most = x.aminmax() if x.device.type == "cpu" else (x.amin(), x.amax())
    return float(least), float(most)
