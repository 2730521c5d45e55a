"""The model as file-to-file interpolation calls it: frame by frame, with scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from vidcm.core.around import ALONE, Around
from vidcm.core.judged import Judged
from vidcm.families.motion_look import Look, Looks
from vidcm.models.synthesis import STRIP
from vidcm.pipelines.confidence import Calibration
from vidcm.pipelines.inbetweening import Inbetweener


@dataclass(eq=False)
class PipelineInterpolator:
    """See `as_interpolator`. strip: pixels that are made at once: memory depends on it, and nothing else."""

    pipe: Inbetweener
    options: dict[str, Any]
    calibration: Calibration | None = None
    strip: int = STRIP
    _looks: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)

    def __call__(
        self,
        first: Tensor | None,
        last: Tensor | None,
        taus: Sequence[float],
        *,
        around: Around = ALONE,
        shot: int = 0,
        position: int = 0,
    ) -> Tensor | Judged:
        looks = tuple(self._kept(frame) for frame in (first, last, around.before, around.after))
        times = replace(around, before=None, after=None)
        made = list(self.each(first, last, taus, looks=looks, around=times, position=position))
        frames = torch.cat([frame for frame, _ in made], dim=1)  # an ordinary tensor, whatever they are
        if self.calibration is None:
            return frames
        return Judged(frames, torch.cat([scores for _, scores in made if scores is not None]))

    def look(self, frame: Tensor) -> Look:
        """All that is needed of a frame around a pair: float32 RGB 0..1 [3, H, W], or [4, H, W] with alpha."""
        return self.pipe.family.look(self._batched(frame)[:, :3])

    def each(
        self,
        first: Tensor | None,
        last: Tensor | None,
        taus: Sequence[float],
        *,
        looks: Looks,
        around: Around = ALONE,
        shot: int = 0,
        position: int = 0,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The same frame by frame: [3 or more, 1, H, W] on the CPU, and its score [1], None without a calibration.

        looks: of (first, last, before, after); around: when those two are, and they need not be in it."""
        ends = (None if frame is None else self._batched(frame) for frame in (first, last))
        made = self.pipe.one_by_one(
            *ends, taus, around=around, looks=looks, position=position, strip=self.strip, **self.options
        )
        for frame, confidence in made:
            score = None if self.calibration is None else self.calibration.scores(confidence)
            yield frame[:, None].cpu(), score
            del frame, confidence  # before the next one is made

    def _batched(self, frame: Tensor) -> Tensor:
        return frame[None].to(self.pipe.device, torch.float32)

    def _kept(self, frame: Tensor | None) -> Look | None:
        if frame is None:
            return None
        if frame not in self._looks:
            self._looks[frame] = self.look(frame)
        return self._looks[frame]


def as_interpolator(
    pipe: Inbetweener,
    *,
    steps: int = 2,
    seed: int = 0,
    temperature: float | None = None,
    calibration: Calibration | None = None,
) -> PipelineInterpolator:
    """interpolate(first, last, taus, *, around=ALONE, shot=0, position=0) -> frames [3, K, H, W] on the CPU.

    pipe: a FrameInterpolationPipeline, or what the command line takes for it.
    first, last: float32 RGB 0..1 [3, H, W], or [4, H, W] with alpha, one may be None; taus strictly inside (0, 1);
    around: the frames next to the pair. position (the index of the pair's first frame in the file) keys the noise; shot
    does not, since a part of a file does not know how many came before it. With a calibration the frames come `Judged`.
    What is measured of a frame is kept as long as the caller keeps this very tensor, which must not be written to
    meanwhile. `each` gives them one by one.
    """
    options = {"num_inference_steps": steps, "temperature": temperature, "seed": seed}
    return PipelineInterpolator(pipe, options, calibration)
