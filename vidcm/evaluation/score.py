"""Scores of rebuilt frames: the table's columns, and the averages over frames, windows and clips.

Rebuilt frames are clamped and rounded to 8 bits first, as a file would hold them. A frame's score counts once in its
window, a window once in its clip, a clip once in the result. Scores that say nothing (no pixel moves, the truth is
flat) are left out of the mean; a rebuilt frame that is not finite is an error.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.evaluation.baselines import Interpolator
from vidcm.evaluation.windows import Window
from vidcm.metrics.brightness import brightness
from vidcm.metrics.flicker import flicker
from vidcm.metrics.gmsd import gmsd
from vidcm.metrics.mpsnr import mpsnr
from vidcm.metrics.psnr import psnr
from vidcm.metrics.sharpness import sharpness
from vidcm.metrics.ssim import ssim

Scores = dict[str, float | None]

# rebuilt: [K, 3, H, W]; true: the whole window, [K + 2, 3, H, W]
METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "psnr": lambda rebuilt, true: psnr(rebuilt, true[1:-1]),
    "mpsnr": lambda rebuilt, true: mpsnr(rebuilt, true[1:-1], true[0], true[-1]),
    "ssim": lambda rebuilt, true: ssim(rebuilt, true[1:-1]),
    "gmsd": lambda rebuilt, true: gmsd(rebuilt, true[1:-1]),
    "sharpness": lambda rebuilt, true: sharpness(rebuilt, true[1:-1]),
    "flicker": lambda rebuilt, true: flicker(torch.cat([true[:1], rebuilt, true[-1:]]), true),
    "brightness": lambda rebuilt, true: brightness(rebuilt, true[0], true[-1]),
}


def score(window: Window, methods: Mapping[str, Interpolator]) -> dict[str, Scores]:
    """Every metric for every method, and the CPU seconds (of all threads) that a rebuilt frame took."""
    true, _ = window.sequence, window.around  # converted before the clock runs
    scores = {}
    for name, interpolate in methods.items():
        start = time.process_time()
        rebuilt = rebuild(window, true, interpolate, name)
        seconds = time.process_time() - start
        scores[name] = {**measure(rebuilt, true), "cpu_s_per_frame": seconds / len(rebuilt)}
    return scores


def rebuild(window: Window, true: Tensor, interpolate: Interpolator, name: str) -> Tensor:
    """A method's frames for a window, as 8 bits hold them, [K, 3, H, W]. true: the window's `sequence`."""
    taus = [float(tau) for tau in window.taus]
    key = {"shot": window.shot, "position": window.position}
    frames = interpolate(true[0], true[-1], taus, around=window.around, **key)
    return as_8_bit(frames.transpose(0, 1), name)


def as_8_bit(frames: Tensor, name: str) -> Tensor:
    """float32 on the CPU, clamped to 0..1 and rounded to what 8 bits hold. Raises UserError on a value that is none."""
    frames = frames.detach().cpu().float()
    if not frames.isfinite().all():
        raise UserError(f"{name} made frames with NaN or infinite values: check its weights")
    return frames.clamp(0, 1).mul(255).round().div(255)


def measure(rebuilt: Tensor, true: Tensor) -> Scores:
    """Every metric of frames [K, 3, H, W], averaged over them. true: the window's `sequence`, [K + 2, 3, H, W]."""
    return {name: mean(metric(rebuilt, true).flatten().tolist()) for name, metric in METRICS.items()}


def mean(values: Iterable[float | None]) -> float | None:
    """Of the finite ones; None if there are none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def average(rows: Sequence[Mapping[str, Scores]]) -> dict[str, Scores]:
    """Score by score of tables with the same rows and columns. No tables: an empty one."""
    first = rows[0] if rows else {}
    return {name: {key: mean(row[name][key] for row in rows) for key in first[name]} for name in first}
