"""What a run starts from: processes, a family of weights with one part to train, batches."""

import os
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn

from vidcm import families
from vidcm.core.ema import EMA, FixedDecay, PowerDecay
from vidcm.core.errors import UserError
from vidcm.data.batches import Batches, open_cache
from vidcm.data.clips import ClipCache
from vidcm.training.config import EMAConfig, RunConfig


def start_processes(config: RunConfig) -> Accelerator:
    """The accelerator, checked to have started as many processes as were launched and asked for."""
    if config.device not in ("auto", "cpu", "cuda", "mps"):
        raise UserError(f"device must be auto, cpu, cuda or mps, got {config.device!r}")
    handler = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    accelerator = Accelerator(cpu=config.device == "cpu", kwargs_handlers=[handler])
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    wanted = config.processes or launched
    if not accelerator.num_processes == launched == wanted:
        raise UserError(
            f"{wanted} processes asked for, {launched} launched, {accelerator.num_processes} working together: "
            "start with torchrun --nproc-per-node N, on CPUs with ACCELERATE_USE_CPU=true"
        )
    if config.device in ("cuda", "mps") and accelerator.device.type != config.device:
        raise UserError(f"device {config.device} is not available here, only {accelerator.device.type} (device=auto)")
    return accelerator


def refuse_to_mix(out: Path, resume: bool) -> None:
    """A new run never overwrites the checkpoints of an old one."""
    if not resume and any((out / "checkpoints").glob("step-*")):
        raise UserError(f"{out} holds checkpoints of an earlier run: continue it with --resume, or choose another out=")


def open_family(config: RunConfig) -> Any:
    """The family loaded from `init`, or new: then the same for the same seed."""
    kind = families.get(config.family)
    if config.init is None:
        torch.manual_seed(config.seed)
        return kind.create(config.model)
    if config.model:
        raise UserError(f"model: describes a new model, but init={config.init} loads one: leave out one of them")
    return kind.load(config.init)


def part_to_train(stage: str, family: Any, device: torch.device) -> nn.Module:
    """The module whose weights a stage trains, in float32; every other weight is frozen."""
    family.to(device)
    for module in family.modules():
        module.requires_grad_(False).eval()
    trained: nn.Module = family.trainable(stage)
    return trained.float().requires_grad_(True).train()


def start_average(config: EMAConfig, trained: nn.Module) -> EMA:
    """The running average of the trained weights; kind `none` is their last value."""
    decays = {"power": PowerDecay(config.width), "fixed": FixedDecay(config.decay), "none": FixedDecay(0.0)}
    return EMA(trained.named_parameters(), decays[config.kind])


def open_batches(config: RunConfig, family: Any, accelerator: Accelerator) -> Any:
    """This process's batches of clips. The main process makes the clip cache first, where footage is configured."""
    with accelerator.main_process_first():
        cache = open_cache(config.data) if accelerator.is_main_process else ClipCache.open(config.data.cache)
    return Batches(config.data, cache, rank=accelerator.process_index, world=accelerator.num_processes)
