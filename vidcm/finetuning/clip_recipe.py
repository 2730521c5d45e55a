"""How a generator is tuned, as settings of the training loop: an objective such as ECT on its network, or on factors
beside it; VAE and text encoder stay as they are."""

from typing import Any

import torch

from vidcm.core.devices import present_device
from vidcm.data.clips import ClipCache
from vidcm.evaluation.heldout import ClipShape
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.recipe import WORKERS, check_objective, precision
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig

LEARNING_RATES = {"full": 1e-5, "lora": 1e-4}
CLIPS = 8  # a step, over all processes, by accumulation
LAST_STAGE = 5  # of the curriculum, reached after five sixths of the run
AVERAGED = 50  # steps that the kept weights are averaged over, at most a tenth of the run
LARGE = 300e6  # weights from which on activations are computed twice


def clip_config(
    config: FinetuneConfig,
    cache: ClipCache,
    family: str,
    shape: ClipShape,
    *,
    weights: int,
    tuned: bool,
    prepared: bool,
    processes: int,
    start: str,
    out: str,
    steps: int,
) -> RunConfig:
    """The training of a generator from the directory `start`, in the folder `out`.

    weights: how many its networks have; tuned: whether it makes clips in few steps already; prepared: whether
    the dataset holds its latents."""
    check_objective(config.objective)
    every = -(-steps // config.evaluations)
    size = config.batch_size or 1
    groups = max(1, processes // config.context)  # of processes that see clips of their own
    parts = config.accumulate or max(1, CLIPS // (size * groups))
    seen = steps * parts * size * groups
    return from_mapping(
        RunConfig,
        {
            "stage": config.objective,
            "family": family,
            "init": start,
            "lora": config.lora,
            "gradient_checkpointing": weights >= LARGE,
            "prompt": config.prompt,
            "out": out,
            "seed": config.seed,
            "steps": steps,
            "device": config.device,
            "precision": precision(config.precision, present_device(config.device)),
            "grad_accumulation": parts,
            "shard": config.shard,
            "context": config.context,
            "log_every": min(10, every),
            "track": list(config.track),
            "save_every": every,
            "samples_per_stage": 1 if tuned else max(1, seen // (LAST_STAGE + 1)),
            "last_stage": LAST_STAGE,
            "optimizer": {
                "lr": config.learning_rate or LEARNING_RATES["lora" if config.lora else "full"],
                "warmup": min(20, max(1, steps // 10)),
                "schedule": "cosine",
                "final": 0.05,
            },
            "ema": {"kind": "fixed", "decay": 1 - 1 / max(1, min(AVERAGED, steps // 10))},
            "latents": {"prepared": prepared},
            "data": clip_data(config, cache, shape, size),
        },
    )


def clip_data(config: FinetuneConfig, cache: ClipCache, shape: ClipShape, batch_size: int) -> dict[str, Any]:
    """Batches of whole clips. They are never mirrored: writing would be, and left and right of captions."""
    return {
        "cache": str(cache.folder),
        "seed": config.seed,
        "batch_size": batch_size,
        "crop": [shape.height, shape.width],
        "whole": True,
        "rate": shape.rate,
        "between": {shape.num_frames - 2: 1.0},
        "flip": 0.0,
        "workers": WORKERS,
    }


def load_dtype(device: torch.device) -> torch.dtype:
    """Of a model that only makes clips."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
