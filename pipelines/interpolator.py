"""The pipeline as a plain function over one pair: what streaming and evaluation call."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from vidcm.core.around import ALONE, Around
from vidcm.core.judged import Judged
from vidcm.families.motion_look import Look
from vidcm.pipelines.confidence import Calibration
from vidcm.pipelines.frame_interpolation import FrameInterpolationPipeline


def as_interpolator(
    pipe: FrameInterpolationPipeline,
    *,
    steps: int = 2,
    seed: int = 0,
    temperature: float | None = None,
    calibration: Calibration | None = None,
) -> Callable[..., Tensor | Judged]:
    """interpolate(first, last, taus, *, around=ALONE, shot=0, position=0) -> frames [3, K, H, W] on the CPU.

    first, last: float32 RGB 0..1 [3, H, W], or [4, H, W] with alpha, one may be None; taus strictly inside (0, 1);
    around: the frames next to the pair. position (the index of the pair's first frame in the file) keys the noise; shot
    does not, since a part of a file does not know how many came before it. With a calibration the frames come `Judged`.
    What is measured of a frame is kept as long as the caller keeps this very tensor, which must not be written to
    meanwhile.
    """
    looks = WeakTensorKeyDictionary()

    def batched(frame: Tensor | None) -> Tensor | None:
        return None if frame is None else frame[None].to(pipe.device, torch.float32)

    def look(frame: Tensor | None) -> Look | None:
        if frame is None:
            return None
        if frame not in looks:
            looks[frame] = pipe.family.look(batched(frame)[:, :3])
        return looks[frame]

    def interpolate(
        first: Tensor | None,
        last: Tensor | None,
        taus: Sequence[float],
        *,
        around: Around = ALONE,
        shot: int = 0,
        position: int = 0,
    ) -> Tensor | Judged:
        frames = (first, last, around.before, around.after)
        seen = replace(around, before=None, after=None)
        options = {"num_inference_steps": steps, "temperature": temperature, "seed": seed}
        made = pipe(
            batched(first),
            batched(last),
            taus,
            around=seen,
            looks=tuple(look(frame) for frame in frames),
            position=position,
            **options,
        )
        frames = made.frames[0].cpu()
        return frames if calibration is None else Judged(frames, calibration.scores(made.confidence[0, 0]))

    return interpolate
