"""The pipeline as a plain function over one pair: what streaming and evaluation call."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vidcm.core.judged import Judged
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
    """interpolate(first, last, taus, *, shot=0, position=0) -> frames [3, K, H, W] on the CPU.

    first, last: float32 RGB 0..1 [3, H, W], one may be None; taus strictly inside (0, 1). shot and position (the index
    of the pair's first frame in the file) key the noise. With a calibration the frames come `Judged`.
    """

    def interpolate(
        first: Tensor | None, last: Tensor | None, taus: Sequence[float], *, shot: int = 0, position: int = 0
    ) -> Tensor | Judged:
        ends = (None if frame is None else frame[None].to(pipe.device, torch.float32) for frame in (first, last))
        options = {"num_inference_steps": steps, "temperature": temperature, "seed": seed}
        made = pipe(*ends, taus, shot=shot, position=position, **options)
        frames = made.frames[0].cpu()
        return frames if calibration is None else Judged(frames, calibration.scores(made.confidence[0, 0]))

    return interpolate
