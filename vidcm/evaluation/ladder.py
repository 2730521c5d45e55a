"""The ladder of latents: what the latent is worth, and how much of it the model finds.

    draft       z at its mean: no step, the starting motion alone
    random      z from the prior, not looked at by the model
    ect1, ect2  z by the consistency model in one and two steps: ect2 is the product
    teacherN    z by the diffusion teacher in N steps, what ect2 should equal
    shuffled    the posterior of another pair: has to be worse, or the decoder ignores z
    posterior   z encoded from the truth: the ceiling

    gap closure  G = (ect2 - draft) / (posterior - draft)        0: nothing gained, 1: all there is

Rows with noise are sampled under several seeds: PSNR and GMSD are those of one sample, on average; `energy` is the
energy score of patches, by which a sampler that knows its doubt beats its mean. Without noise it is the error.
`psnr_of_mean` is the PSNR of the mean over the seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.evaluation.score import Scores, as_8_bit, average, mean
from vidcm.evaluation.windows import Window
from vidcm.metrics.energy import patch_energy_score
from vidcm.metrics.gmsd import gmsd
from vidcm.metrics.psnr import psnr


@dataclass(frozen=True)
class Row:
    """latents: what `pipe.reconstruct` calls it; sampled: whether the seed matters."""

    latents: str
    sampled: bool


ROWS = (
    Row("draft", False),
    Row("random", True),
    Row("ect1", True),
    Row("ect2", True),
    Row("teacher", True),
    Row("shuffled", False),
    Row("posterior", False),
)


def ladder(
    pipe: Any,
    clips: Sequence[Sequence[Window]],
    *,
    seeds: Sequence[int],
    teacher_steps: int,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Scores]:
    """clips: for each clip some windows, of equal K. Returns row -> scores, averaged over windows, then clips."""
    tables = []
    for place, windows in enumerate(clips):
        strangers = _strangers(clips, place)
        report(f"ladder: clip {place + 1} of {len(clips)}")
        rows = [
            _climb(pipe, window, strangers[turn % len(strangers)], seeds, teacher_steps)
            for turn, window in enumerate(windows)
        ]
        tables.append(average(rows))
    return average(tables)


def gap_closure(rows: Mapping[str, Scores]) -> Scores:
    """G by PSNR and by energy score; None where the posterior gains nothing measurable over the draft."""
    return {name: _closure(*(rows[row][name] for row in ("draft", "ect2", "posterior"))) for name in ("psnr", "energy")}


def _closure(draft: float | None, found: float | None, ceiling: float | None) -> float | None:
    if draft is None or found is None or ceiling is None or abs(ceiling - draft) < 1e-6:
        return None
    return (found - draft) / (ceiling - draft)


def _strangers(clips: Sequence[Sequence[Window]], place: int) -> Sequence[Window]:
    if len(clips) < 2:
        raise UserError("the ladder shuffles latents between clips: give at least two clips")
    return clips[(place + 1) % len(clips)]


def _climb(pipe: Any, window: Window, stranger: Window, seeds: Sequence[int], teacher_steps: int) -> dict[str, Scores]:
    table = {}
    for row in ROWS:
        samples = [_reconstruct(pipe, row, window, stranger, seed, teacher_steps) for seed in _seeds(row, seeds)]
        name = f"teacher{teacher_steps}" if row.latents == "teacher" else row.latents
        table[name] = _scores(torch.stack(samples), window.sequence[1:-1])
    return table


def _seeds(row: Row, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if row.sampled else seeds[:1]


def _scores(samples: Tensor, truth: Tensor) -> Scores:
    """samples: [M, K, 3, H, W], truth: [K, 3, H, W]."""
    return {
        "psnr": mean(psnr(samples, truth).flatten().tolist()),
        "gmsd": mean(gmsd(samples, truth.expand_as(samples)).flatten().tolist()),
        "energy": mean(patch_energy_score(samples, truth).tolist()),
        "psnr_of_mean": mean(psnr(samples.mean(dim=0), truth).tolist()),
    }


def _reconstruct(pipe: Any, row: Row, window: Window, stranger: Window, seed: int, teacher_steps: int) -> Tensor:
    """Frames of one latent, as 8 bits hold them, [K, 3, H, W]."""
    first, last, tau, truth = _batch(window)
    with torch.inference_mode():
        frames = pipe.reconstruct(
            first,
            last,
            tau,
            latents=row.latents,
            truth=truth,
            seed=seed,
            shot=window.shot,
            position=window.position,
            teacher_steps=teacher_steps,
            **({"shuffle_with": _batch(stranger)} if row.latents == "shuffled" else {}),
        )
    return as_8_bit(frames[0].transpose(0, 1), row.latents)


def _batch(window: Window) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """first, last [1, 3, H, W], tau [1, K], truth [1, 3, K, H, W]."""
    frames = window.sequence
    tau = torch.tensor([[float(tau) for tau in window.taus]])
    return frames[:1], frames[-1:], tau, frames[1:-1].transpose(0, 1)[None]
