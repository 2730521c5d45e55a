"""The clips that models are compared on: drawn once, as training draws its own, of sources that it has never seen."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vidcm.data.batches import Batches
from vidcm.data.clips import ClipCache
from vidcm.data.config import DataConfig

FAR = 10**6  # a seed that no run of training has


def write_clips(data: DataConfig, path: Path, *, count: int, choosing: int) -> None:
    """Held-out clips of the split val, `training` and `choosing` ones of the split train; uint8 [N, 3, T, H, W] each.

    training: as many as held-out ones: what a model that has learned its data perfectly would make.
    choosing: others, for settings of the sampler."""
    cache = ClipCache.open(data.cache)
    drawn = {
        "heldout": draw(data, cache, "val", count, FAR),
        "training": draw(data, cache, "train", count, FAR + 1),
        "choosing": draw(data, cache, "train", choosing, FAR + 2),
    }
    aside = path.with_name(path.name + ".tmp")
    save_file(drawn, aside)
    aside.replace(path)


def draw(data: DataConfig, cache: ClipCache, split: str, count: int, seed: int) -> Tensor:
    """uint8 [count, 3, T, H, W], both ends included."""
    batches = Batches(replace(data, seed=seed, batch_size=1, workers=0), cache, split)
    return torch.cat([whole(batches.batch(number)) for number in range(count)])


def whole(batch: dict[str, Tensor]) -> Tensor:
    clip = torch.cat((batch["first"][:, :, None], batch["frames"], batch["last"][:, :, None]), dim=2)
    return clip.mul(255).round().to(torch.uint8)
