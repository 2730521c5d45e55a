"""Whether a method knows when it is wrong: its own scores beside the true error of the same frames."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vidcm.core.judged import NEAR_DB, Judged
from vidcm.evaluation.baselines import Interpolator
from vidcm.evaluation.windows import Window
from vidcm.metrics.psnr import psnr
from vidcm.metrics.rank import rank_correlation


@dataclass
class Witness:
    """An interpolator that remembers the frames and scores of its last call; `testify` compares them with the truth.

    clips: for each clip, (scores, PSNR in dB) of its frames.
    """

    interpolate: Interpolator
    clips: list[tuple[list[float], list[float]]] = field(default_factory=list)
    _last: Judged | None = None

    def __call__(self, *ends_and_taus: Any, **key: Any) -> Tensor:
        made: Tensor | Judged = self.interpolate(*ends_and_taus, **key)
        self._last = made if isinstance(made, Judged) else None
        return made.frames if isinstance(made, Judged) else made

    def begin_clip(self) -> None:
        self.clips.append(([], []))

    def testify(self, window: Window) -> None:
        """The last call was for this window."""
        if self._last is None:
            return
        frames = self._last.frames.transpose(0, 1).cpu().float().clamp(0, 1).mul(255).round().div(255)
        scores, errors = self.clips[-1]
        scores += self._last.scores.tolist()
        errors += psnr(frames, window.truth).tolist()

    def verdict(self) -> dict[str, Any]:
        """`rank_correlation` of scores with PSNR over all frames, `within_clips` as the mean over clips whose frames
        differ; `mean_score` beside `share_near`, the frames that are as near as a score of 1 promises. Without scores:
        empty.
        """
        clips = [(torch.tensor(scores), torch.tensor(errors)) for scores, errors in self.clips if scores]
        if not clips:
            return {}
        scores, errors = (torch.cat(each) for each in zip(*clips, strict=True))
        within = [each for clip in clips if (each := rank_correlation(*clip)) == each]
        overall = rank_correlation(scores, errors)
        return {
            "frames": len(scores),
            "rank_correlation": overall if overall == overall else None,
            "within_clips": sum(within) / len(within) if within else None,
            "mean_score": float(scores.mean()),
            "share_near": float((errors >= NEAR_DB).double().mean()),
        }
