"""How each part of the motion model is tuned, as settings of the training loop.

pictures    decoder and synthesis: how flows are refined and pixels put together. What the latent says is left alone, so
            the transformer stays valid. Decoded are latents that it samples, and, for a third, those of the truth
motion      the transformer, by an objective such as ECT: how things are guessed to have moved
"""

import os
from typing import Any

import torch

from vidcm import losses
from vidcm.core.devices import present_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.data.clips import ClipCache
from vidcm.finetuning.config import FinetuneConfig
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig

CROP = 192  # pixels a side, as the shipped model is trained
LEAST_CROP = 64
GAPS = {2: 3.0, 3: 0.8, 4: 0.8, 5: 0.3, 6: 0.2, 7: 0.1, 8: 0.1}  # mostly what doubling the rate asks for
REHEARSAL = 0.1  # share of rendered scenes, against forgetting
LEARNING_RATES = {"pictures": 3e-4, "motion": 1e-4}
WORKERS = max(1, min(4, (os.cpu_count() or 2) // 2))  # processes that make batches
AVERAGED = 50  # steps that the kept weights are averaged over, at most a tenth of the run


def run_config(
    part: str, config: FinetuneConfig, cache: ClipCache, start: str, out: str, steps: int, processes: int = 1
) -> RunConfig:
    """The training of one part: from the model directory `start`, in the folder `out`."""
    device = present_device(config.device)
    check_objective(config.objective)
    every = -(-steps // config.evaluations)
    return from_mapping(
        RunConfig,
        {
            "stage": "decoder" if part == "pictures" else config.objective,
            "objective": {"flow": 0.0} if part == "pictures" else {},
            # the schedule of an objective begins where the shipped model's ended
            **({} if part == "pictures" else {"samples_per_stage": 1, "last_stage": 5}),
            "family": "motion",
            "init": start,
            "out": out,
            "seed": config.seed,
            "steps": steps,
            "device": config.device,
            "precision": precision(config.precision, device),
            "grad_accumulation": config.accumulate or 1,
            "shard": config.shard,
            "context": config.context,
            "log_every": min(10, every),
            "track": list(config.track),
            "save_every": every,
            "optimizer": {
                "lr": config.learning_rate or LEARNING_RATES[part],
                "warmup": min(20, max(1, steps // 10)),
                "schedule": "cosine",
                "final": 0.05,
            },
            "ema": {"kind": "fixed", "decay": 1 - 1 / max(1, min(AVERAGED, steps // 10))},
            "data": data(config, cache, device, processes // config.context),
        },
    )


def check_objective(name: str) -> None:
    known = [each for each in losses.available() if each != "diffusion"]  # which would make a teacher, not a model
    if name not in known:
        raise WrongUse(f"unknown objective {name!r}, known: {', '.join(known)}")


def data(config: FinetuneConfig, cache: ClipCache, device: str, groups: int = 1) -> dict[str, Any]:
    """Batches of the dataset's training clips. groups: of processes that see clips of their own.

    Raises UserError where it has none that can be learned from."""
    clips = [clip for clip in cache.split("train") if clip.length >= 3]
    if not clips:
        raise UserError(
            f"{cache.folder} has no training clip of 3 frames or more: prepare footage that moves (docs/prepare.md)"
        )
    longest = max(clip.length for clip in clips)
    side = min(min(clip.shape[1:3]) for clip in clips)
    if side < LEAST_CROP:
        raise UserError(
            f"the smallest frames of {cache.folder} have a side of {side} pixels, tuning needs {LEAST_CROP}: "
            "prepare larger footage, or with a larger --short-side"
        )
    crop = min(CROP, side // 32 * 32)
    several = longest >= 5
    return {
        "cache": str(cache.folder),
        "seed": config.seed,
        "batch_size": config.batch_size or max(1, batch_size(device) // max(1, groups)),
        "crop": [crop, crop],
        "between": {1: 0.9, 3: 0.1} if several and all(clip.length >= 5 for clip in clips) else {1: 1.0},
        "gaps": {gap: weight for gap, weight in GAPS.items() if gap < longest},
        "synthetic": REHEARSAL,
        "workers": WORKERS,
    }


def precision(wanted: str, device: str) -> str:
    """bf16 where the hardware computes in it, else fp32."""
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"


def batch_size(device: str) -> int:
    """Of one process: 8 is what the shipped model is trained with and fits any machine; a GPU has room for more."""
    if device != "cuda":
        return 8
    return 32 if torch.cuda.mem_get_info()[0] > 12 * 2**30 else 16
