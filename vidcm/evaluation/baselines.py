"""Interpolators without a model, by name: what a learned one is measured against.

An interpolator is a callable `interpolate(first, last, taus, *, around=ALONE, shot=0, position=0) -> frames`:
first, last: consecutive source frames, float32 RGB in 0..1 [3, H, W], or None where there is none (the other is held);
taus: positions strictly inside (0, 1); frames: [3, K, H, W], float32 RGB in 0..1. `around`: the frames next to
the pair; `shot` and `position` key a model's noise. Baselines need neither.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidcm.media.motion import dis_flow, grey

Interpolator = Callable[..., Tensor]
End = Tensor | None


def hold(first: End, last: End, taus: Sequence[float], **_: Any) -> Tensor:
    """The nearer source frame, the earlier one at the middle."""
    ends = (last if first is None else first), (first if last is None else last)
    return torch.stack([ends[tau > 0.5] for tau in taus], dim=1)


def crossfade(first: End, last: End, taus: Sequence[float], **_: Any) -> Tensor:
    """(1 - tau) first + tau last, on the coded values, as editors do."""
    if first is None or last is None:
        return hold(first, last, taus)
    return torch.stack([torch.lerp(first, last, float(tau)) for tau in taus], dim=1)


def dis(first: End, last: End, taus: Sequence[float], **_: Any) -> Tensor:
    """Warping by OpenCV's Dense Inverse Search (medium preset, at full size), both directions, averaged by nearness.

    The motion from the frame at tau to the ends is not measured; it is taken from the flows between them, on the spot:

        to_first(x) = tau flow(last -> first)(x),   to_last(x) = (1 - tau) flow(first -> last)(x)
        frame(x) = (1 - tau) first(x + to_first(x)) + tau last(x + to_last(x))

    Bilinear, edges repeated. No occlusion reasoning.
    """
    if first is None or last is None:
        return hold(first, last, taus)
    a, b = to_bytes(first), to_bytes(last)
    forward, backward = dis_flow(grey(a), grey(b)), dis_flow(grey(b), grey(a))
    a, b = (np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in (first, last))
    frames = [(1 - tau) * _warp(a, tau * backward) + tau * _warp(b, (1 - tau) * forward) for tau in map(float, taus)]
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)


def minterpolate(first: End, last: End, taus: Sequence[float], **_: Any) -> Tensor:
    """FFmpeg's motion-compensated `minterpolate`, where the FFmpeg in PyAV has it. Both ends are shown to it twice."""
    if first is None or last is None:
        return hold(first, last, taus)
    from vidcm.evaluation.minterpolate import between  # its filter graph is needed by this baseline alone

    return torch.stack([from_bytes(frame) for frame in between(to_bytes(first), to_bytes(last), taus)], dim=1)


BASELINES: dict[str, Interpolator] = {
    "hold": hold,
    "crossfade": crossfade,
    "dis": dis,
    "minterpolate": minterpolate,
}


def to_bytes(image: Tensor) -> np.ndarray:
    """float32 [3, H, W] in 0..1 -> uint8 [H, W, 3], rounded."""
    return np.ascontiguousarray(image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy())


def from_bytes(frame_HWC: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(frame_HWC)).permute(2, 0, 1).float().div(255)


def _warp(image_HWC: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """image(x + flow(x)), flow [2, H, W] in pixels."""
    height, width = image_HWC.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(image_HWC, columns + flow[0], rows + flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
