"""Where a run's batches come from: clips, latents of them that are encoded first, or those that lie in the dataset."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from vidcm.core.errors import UserError
from vidcm.data.batches import Batches, open_cache
from vidcm.data.clips import ClipCache
from vidcm.families.encoder import encoder_digest
from vidcm.settings import as_mapping
from vidcm.training.config import RunConfig
from vidcm.training.divided import place_among
from vidcm.training.latents import LatentBatches, Rows, encode_shards, latent_key, rows_of
from vidcm.training.prepared import EncodedAs, PreparedLatents
from vidcm.training.start import dtype_of
from vidcm.training.step import keyed_seed, to_device

WHERE_DATA_LIES = ("cache", "footage", "workers")  # what of a DataConfig does not change a batch


def open_batches(config: RunConfig, family: Any, accelerator: Accelerator) -> Any:
    """This process's batches: of cached latents where the config wants them, else of clips.

    The main process makes the clip cache first, where footage is configured.
    """
    with accelerator.main_process_first():
        cache = open_cache(config.data) if accelerator.is_main_process else ClipCache.open(config.data.cache)
    if hasattr(family, "captions"):
        family.captions = cache.captions
    rank, world = place_among(config, accelerator.process_index, accelerator.num_processes)
    place = {"rank": rank, "world": world, "parts": config.grad_accumulation}
    if not config.latents.samples and not config.latents.prepared:
        return Batches(config.data, cache, **place)
    if config.latents.prepared:
        return open_prepared(config, family, cache, place)
    clips = [clip.digest for clip in cache.split("train")]
    return open_latents(config, family, accelerator, Batches(config.data, cache), clips)


def open_prepared(config: RunConfig, family: Any, cache: ClipCache, place: dict[str, int]) -> PreparedLatents:
    """Batches of the latents in the dataset, which must be those of `init`."""
    facts = EncodedAs.of(cache.folder)
    if facts is None or config.init is None:
        raise UserError(
            f"latents.prepared: {cache.folder} has no latents, or there is no init= that they are of: run vidcm "
            "prepare --latents MODEL, or leave it out"
        )
    facts.check(cache.folder, encoder_digest(config.init), config.init)
    size = config.latents.batch_size or config.data.batch_size
    clips, told = cache.split("train"), lambda caption: family.said(caption or config.prompt, 1)
    return PreparedLatents(cache.folder, clips, size, config.data.seed, told=told, place=place)


def open_latents(config: RunConfig, family: Any, accelerator: Accelerator, batches: Any, clips: Sequence[str]) -> Any:
    """Batches of cached latents; encoded first, each process its share of the shards, as far as they are missing.

    batches: of the data, for one process alone; `clips` identifies what they are drawn from.
    """
    wanted, size = config.latents, config.data.batch_size
    seed = config.seed if wanted.seed is None else wanted.seed
    per_shard = max(1, wanted.shard // size)
    shards = -(-wanted.samples // (per_shard * size))
    data = {name: value for name, value in as_mapping(config.data).items() if name not in WHERE_DATA_LIES}
    facts = {"data": data, "clips": clips, "seed": seed, "per_shard": per_shard, "precision": config.precision}
    facts |= {"prompt": config.prompt} if config.prompt else {}
    facts |= {"captions": list(family.captions)} if any(getattr(family, "captions", ())) else {}
    facts |= {"networks": "bf16"} if dtype_of(config) == torch.bfloat16 else {}
    facts["code"] = source_digest("vidcm.models", "vidcm.families")  # other code, other latents
    key = latent_key(family.trainable("vae"), json.loads(json.dumps(facts)))
    folder = Path(wanted.dir or Path(config.out).parent / "latents") / key
    rank, world = accelerator.process_index, accelerator.num_processes
    family.to(accelerator.device)
    encode = partial(encode_batch, replace(config, seed=seed), family, accelerator.device)
    share = range(shards * rank // world, shards * (rank + 1) // world)
    encode_shards(folder, share, per_shard, batches, encode)
    accelerator.wait_for_everyone()
    rank, world = place_among(config, rank, world)
    place = {"rank": rank, "world": world, "parts": config.grad_accumulation}
    resident = accelerator.device if wanted.resident else None
    return LatentBatches(folder, shards, wanted.batch_size or size, seed=config.seed, resident=resident, **place)


def source_digest(*packages: str) -> str:
    """A hash of the packages' source files."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted(Path(import_module(package).__file__).parent.glob("*.py")):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


@torch.no_grad()
def encode_batch(config: RunConfig, family: Any, device: torch.device, batch: dict[str, Any], number: int) -> Rows:
    """What the family's VAE makes of batch `number`, with noise keyed by (seed, number)."""
    generator = torch.Generator(device).manual_seed(keyed_seed(config.seed, number))
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        x0, condition = family.encode(to_device(batch, device), generator=generator)
    return rows_of(x0, condition)
