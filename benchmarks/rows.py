"""The rows of a comparison: ways to fill a window with a motion model, and what is measured of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidcm.evaluation.windows import Window

Sample = Callable[[Window, int], Tensor]
Scores = dict[str, float | None]


@dataclass(frozen=True)
class Row:
    """name; sample(window, seed) -> frames [3, K, H, W] in 0..1; sampled: whether the seed matters."""

    name: str
    sample: Sample
    sampled: bool


class Model:
    """A FrameInterpolationPipeline that fills windows. remember: measure the motion in a window once for all rows, and
    leave it out of their CPU seconds."""

    def __init__(self, pipe: Any, remember: bool = False) -> None:
        self.pipe, self.remember = pipe, remember
        self._seen: tuple[Window | None, dict[str, Any]] = None, {}

    def answer(self, **options: Any) -> Sample:
        """By a call of the pipeline."""

        def sample(window: Window, seed: int) -> Tensor:
            return self.pipe(**self._asked(window), seed=seed, **options).frames[0]

        return sample

    def rung(self, latents: str, **options: Any) -> Sample:
        """By a latent of the named origin: see `reconstruct`."""

        def sample(window: Window, seed: int) -> Tensor:
            return self.pipe.reconstruct(**self._asked(window), latents=latents, seed=seed, **options)[0]

        return sample

    def _asked(self, window: Window) -> dict[str, Any]:
        if self._seen[0] is not window or not self.remember:
            around = window.around.batched(self.pipe.device)
            ends = window.first[None].to(self.pipe.device), window.last[None].to(self.pipe.device)
            frames = (*ends, around.before, around.after)
            looks = tuple(None if frame is None else self.pipe.family.look(frame) for frame in frames)
            taus = torch.tensor([[float(tau) for tau in window.taus]], device=self.pipe.device)
            asked = {"first": ends[0], "last": ends[1], "tau": taus, "around": around, "looks": looks}
            self._seen = window, {**asked, "shot": window.shot, "position": window.position}
        return self._seen[1]


def score(row: Row, window: Window, seeds: int) -> Scores:
    """The metrics of single samples, on average over seeds; their energy score; `apart`: how far the first and the last
    of them are from each other, in 8-bit levels; and the CPU seconds (of all threads) that a frame took."""
    from vidcm.evaluation.score import as_8_bit, average, measure
    from vidcm.metrics.energy import patch_energy_score

    start = time.process_time()
    drawn = [row.sample(window, seed) for seed in range(seeds if row.sampled else 1)]
    cpu_s = (time.process_time() - start) / len(drawn) / len(window.taus)
    samples = torch.stack([as_8_bit(frames.transpose(0, 1), row.name) for frames in drawn])
    scores = average([{"row": measure(frames, window.sequence)} for frames in samples])["row"]
    apart = 255 * (samples[0] - samples[-1]).abs().mean().item()
    energy = patch_energy_score(samples, window.truth).mean().item()
    return {**scores, "energy": energy, "apart": apart, "cpu_s": cpu_s}
