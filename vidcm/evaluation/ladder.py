"""The ladder of latents: what the latent is worth, and how much of it the model finds.

    draft       z at its mean: no step, the starting motion alone
    believed    z as the frames around the pair let expect it, by rule, without the DiT (vidcm.models.belief)
    random      the noise that ect2 gets, at its temperature and spread, not looked at by the model
    ect1, ect2  z by the consistency model in one step (without noise) and in two (a sample: the product)
    teacherN    z by the diffusion teacher in N steps, what ect2 should equal
    shuffled    the posterior of another pair: has to be worse, or the decoder ignores z
    posterior   z encoded from the truth: the ceiling

    gap closure  G = (ect2 - draft) / (posterior - draft)        0: nothing gained, 1: all there is

Rows with noise are sampled under several seeds: PSNR and GMSD are those of one sample, on average; `energy` is the
energy score of patches, by which a sampler that knows its doubt beats its mean. Without noise it is the error.
`psnr_of_mean` is the PSNR of the mean over the seeds; `apart`, `drift` and `drift99` say how far the seeds are from
each other where the truth moves and where it does not (vidcm.metrics.drift).

All windows count in one table, and in a second one those alone whose motion is ambiguous: the quarter, one window at
least, whose ends DIS sees furthest apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.evaluation.score import Scores, as_8_bit, average, mean
from vidcm.evaluation.windows import Window
from vidcm.media.motion import dis_flow, grey
from vidcm.metrics.drift import drift
from vidcm.metrics.energy import patch_energy_score
from vidcm.metrics.gmsd import gmsd
from vidcm.metrics.psnr import psnr
from vidcm.metrics.sharpness import sharpness

Table = dict[str, Scores]


@dataclass(frozen=True)
class Row:
    """latents: what `pipe.reconstruct` calls it; sampled: whether the seed matters."""

    latents: str
    sampled: bool


ROWS = (
    Row("draft", False),
    Row("believed", False),
    Row("random", True),
    Row("ect1", False),  # noise comes in with the second step
    Row("ect2", True),
    Row("teacher", True),
    Row("shuffled", False),
    Row("posterior", False),
)


@dataclass(frozen=True)
class Climb:
    """How a ladder is climbed. pipe: a FrameInterpolationPipeline, or its like; temperature: None: the stored one."""

    pipe: Any
    seeds: Sequence[int]
    temperature: float | None
    teacher_steps: int

    def __call__(self, window: Window, stranger: Window) -> Table:
        """Row -> scores of one window; its shuffled latent is the posterior of `stranger`."""
        table = {}
        for row in self._rows():
            seeds = self.seeds if row.sampled else self.seeds[:1]
            samples = torch.stack([self._reconstruct(row.latents, window, stranger, seed) for seed in seeds])
            name = f"teacher{self.teacher_steps}" if row.latents == "teacher" else row.latents
            table[name] = _scores(samples, window)
        return table

    def _rows(self) -> list[Row]:
        """All, but for the teacher's where the model directory has none."""
        return [row for row in ROWS if row.latents != "teacher" or self.pipe.teacher is not None]

    def _reconstruct(self, latents: str, window: Window, stranger: Window, seed: int) -> Tensor:
        """Frames of one latent, as 8 bits hold them, [K, 3, H, W]."""
        first, last, tau, truth = self._batch(window)
        frames = self.pipe.reconstruct(
            first,
            last,
            tau,
            latents=latents,
            truth=truth,
            seed=seed,
            shot=window.shot,
            position=window.position,
            temperature=self.temperature,
            teacher_steps=self.teacher_steps,
            around=window.around.batched(self.pipe.device),
            shuffle_with=self._batch(stranger) if latents == "shuffled" else None,
        )
        return as_8_bit(frames[0].transpose(0, 1), latents)

    def _batch(self, window: Window) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """first, last [1, 3, H, W], tau [1, K], truth [1, 3, K, H, W], on the pipeline's device."""
        frames = window.sequence.to(self.pipe.device)
        tau = torch.tensor([[float(tau) for tau in window.taus]], device=frames.device)
        return frames[:1], frames[-1:], tau, frames[1:-1].transpose(0, 1)[None]


def ladder(
    climb: Climb, clips: Sequence[Sequence[Window]], report: Callable[[str], None] = lambda line: None
) -> tuple[Table, Table]:
    """clips: for each clip some windows, of equal K. Returns row -> scores, averaged over windows, then clips; and the
    same averaged over the windows with the largest motion.

    Latents are shuffled between neighbouring clips: raises UserError for a single one.
    """
    if len(clips) < 2:
        raise UserError("the ladder shuffles latents between clips: give at least two clips")
    tables: list[list[Table]] = []
    for place, windows in enumerate(clips):
        report(f"ladder {place + 1}/{len(clips)}")
        strangers = clips[(place + 1) % len(clips)]
        tables.append([climb(window, strangers[turn % len(strangers)]) for turn, window in enumerate(windows)])
    moved = [motion_of(window) for windows in clips for window in windows]
    flat = [table for rows in tables for table in rows]
    return average([average(rows) for rows in tables]), average([flat[place] for place in largest(moved)])


def largest(values: Sequence[float]) -> list[int]:
    """Where the largest quarter of the values stand, one at least."""
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    return order[: max(1, len(values) // 4)]


def motion_of(window: Window) -> float:
    """How far DIS sees the window move between its ends, root mean square, in pixels."""
    flow = dis_flow(grey(window.frames_THWC[0]), grey(window.frames_THWC[-1]))
    return float((flow[0] ** 2 + flow[1] ** 2).mean() ** 0.5)


def gap_closure(rows: Mapping[str, Scores]) -> Scores:
    """G by PSNR and by energy score; None where the posterior gains nothing measurable over the draft."""
    return {name: _closure(*(rows[row][name] for row in ("draft", "ect2", "posterior"))) for name in ("psnr", "energy")}


def _closure(draft: float | None, found: float | None, ceiling: float | None) -> float | None:
    if draft is None or found is None or ceiling is None or abs(ceiling - draft) < 1e-6:
        return None
    return (found - draft) / (ceiling - draft)


def _scores(samples: Tensor, window: Window) -> Scores:
    """samples: [M, K, 3, H, W]."""
    first, truth, last = window.first, window.truth, window.last
    differ = drift(samples, truth, first, last)
    return {
        "psnr": mean(psnr(samples, truth).flatten().tolist()),
        "gmsd": mean(gmsd(samples, truth.expand_as(samples)).flatten().tolist()),
        "sharpness": mean(sharpness(samples, truth.expand_as(samples)).flatten().tolist()),
        "energy": mean(patch_energy_score(samples, truth).tolist()),
        "psnr_of_mean": mean(psnr(samples.mean(dim=0), truth).tolist()),
        **{name: mean([value]) if len(samples) > 1 else None for name, value in differ.items()},
    }
