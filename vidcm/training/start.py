"""What a run starts from: processes, a folder, a family of weights with one part to train."""

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import nn

from vidcm import families
from vidcm.core.devices import DEVICES
from vidcm.core.ema import EMA, Decay, FixedDecay, PowerDecay
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.locks import held
from vidcm.core.processes import launched
from vidcm.core.resuming import Resume, goes_on
from vidcm.families.adapter import check_installed
from vidcm.training import checkpoint
from vidcm.training.checkpoint import Checkpoint
from vidcm.training.checks import VAE_STAGES, asks_for_teacher, refuse_untaught
from vidcm.training.config import EMAConfig, RunConfig, differences, recorded, resolved
from vidcm.training.metrics import say


def start_processes(config: RunConfig) -> Accelerator:
    """The accelerator, checked to have started as many processes as were launched and asked for."""
    if config.device not in DEVICES:
        raise UserError(f"device must be one of {', '.join(DEVICES)}, got {config.device!r}")
    handler = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    patience = InitProcessGroupKwargs(timeout=timedelta(minutes=config.patience_minutes))
    told = {"log_with": list(config.track) or None, "project_dir": str(Path(config.out) / "track")}
    accelerator = Accelerator(cpu=config.device == "cpu", kwargs_handlers=[handler, patience], **told)
    started = launched().count
    wanted = config.processes or started
    if not accelerator.num_processes == started == wanted:
        raise UserError(
            f"{wanted} processes asked for, {started} launched, {accelerator.num_processes} working together: "
            "start with torchrun --nproc-per-node N, on CPUs with ACCELERATE_USE_CPU=true"
        )
    if config.device in ("cuda", "mps") and accelerator.device.type != config.device:
        raise UserError(f"device {config.device} is not available here, only {accelerator.device.type} (device=auto)")
    return accelerator


def check_begun(out: Path, resume: Resume) -> bool:
    """Whether the run in the folder goes on. A new one never overwrites the checkpoints of an old one."""
    begun = checkpoint.any_in(out / "checkpoints")
    if begun and not resume:
        raise WrongUse(f"{out} holds checkpoints of an earlier run: continue it with --resume, or choose another out=")
    return goes_on(resume, begun, out)


def to_go_on_from(out: Path, resume: Resume) -> Checkpoint | None:
    """The newest checkpoint that verifies. Raises UserError where there are some, none does, and one was asked for."""
    found = checkpoint.newest(out / "checkpoints", say)
    if found is None and resume is True:
        raise UserError(f"no checkpoint in {out} is whole: put a copy back, or begin again with --auto-resume")
    return found


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """The run's folder, made if it is not there, kept from other runs."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "lock").touch()
    with held(out / "lock", f"{out} is in use by another run: wait until it ends, or choose another folder"):
        yield


@contextmanager
def others_answer(config: RunConfig) -> Iterator[None]:
    """Raises UserError where another process has ended, or has kept this one waiting for too long."""
    try:
        yield
    except RuntimeError as error:  # torch.distributed has kinds of its own, all of this one
        if launched().count == 1 or not any(sign in str(error) for sign in LOST_SIGNS):
            raise
        raise UserError(LOST.format(minutes=config.patience_minutes)) from error


LOST = (
    "another process has ended, or has not answered for {minutes:g} minutes (patience_minutes): see what it says, then "
    "go on with --resume from the last checkpoint, which is whole"
)
LOST_SIGNS = ("Timed out waiting", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "[gloo")


def same_batches(config: RunConfig, found: Checkpoint | None, processes: int) -> RunConfig:
    """The config of a run that is resumed in another number of processes, with as many clips a step as it had: each
    process takes its share of them, so that samples come in the same order. Not where the config asks for others."""
    clips = 0 if found is None else found.state.get("samples_per_step", 0)
    cached = config.latents.samples or config.latents.prepared
    own = (config.latents.batch_size if cached else None) or config.data.batch_size
    parts, before = config.grad_accumulation * processes, recorded(Path(config.out))
    if not clips or before is None or own * parts == clips:
        return config
    sizes = {key: resolved(config)[key] for key in ("grad_accumulation", "latents")}
    if any(before.get(key) != value for key, value in sizes.items()):
        return config
    if before.get("data", {}).get("batch_size") != config.data.batch_size:
        return config
    if clips % parts:
        raise UserError(
            f"a step of this run is {clips} clips, which {parts} batches ({processes} processes, grad_accumulation "
            f"{config.grad_accumulation}) cannot share equally: start another number of processes, or set "
            "data.batch_size"
        )
    share = clips // parts
    say(f"{share} clips in each batch instead of {own}, so that a step stays {clips} clips in {processes} processes")
    if cached:
        return replace(config, latents=replace(config.latents, batch_size=share))
    return replace(config, data=replace(config.data, batch_size=share))


def tell_changes(config: RunConfig, out: Path) -> None:
    """Say which settings of a resumed run are not those of its last start."""
    before = recorded(out)
    changed = [] if before is None else differences(before, resolved(config))
    if changed:
        say(f"settings changed since the last start: {', '.join(changed)}")


def open_family(config: RunConfig) -> Any:
    """The family loaded from `init`, or new: then the same for the same seed."""
    kind = families.get(config.family)
    check_pretrained_only(config, kind)
    if config.init is None:
        refuse_untaught(config.stage)
        torch.manual_seed(config.seed)
        return kind.create(config.model)
    if config.model:
        raise UserError(f"model: describes a new model, but init={config.init} loads one: leave out one of them")
    family = kind.load(config.init, **({"dtype": dtype_of(config)} if config.lora else {}))
    if getattr(family, "base", ""):
        raise UserError(f"init={config.init} is an adapter: start from its base, {family.base}, or merge it first")
    if config.lora:
        torch.manual_seed(config.seed)
        family.adapt(config.lora, config.init)
    if config.gradient_checkpointing:
        family.checkpoint_gradients()
    if config.prompt:
        if not hasattr(family, "prompt"):
            raise UserError(f"prompt: family {config.family} reads no text, leave it out")
        family.prompt = config.prompt
    return family


def check_pretrained_only(config: RunConfig, kind: Any) -> None:
    """Raises UserError for what networks of diffusers have and others have not."""
    for name, member in (("lora", "adapt"), ("gradient_checkpointing", "checkpoint_gradients")):
        if getattr(config, name) and not hasattr(kind, member):
            able = ", ".join(each for each in families.available() if hasattr(families.get(each), member))
            raise WrongUse(f"{name}: family {config.family} has none, only {able}: leave it out")
    if config.lora:
        check_installed()


def dtype_of(config: RunConfig) -> torch.dtype:
    """Of weights that stay as they are; those that are trained are float32."""
    return torch.bfloat16 if config.lora and config.precision == "bf16" else torch.float32


def settle_teacher(config: RunConfig, family: Any) -> None:
    """Tuning starts from a diffusion model, the teacher; a diffusion model in training has none.

    It is copied for objectives that ask for it, and for families that save it beside the tuned network; an adapter
    switched off gives it back without a copy."""
    if config.stage == "diffusion":
        family.teacher = None
    if config.stage == "diffusion" or config.stage in VAE_STAGES:
        return
    if family.teacher is None and asks_for_teacher(config.stage) and getattr(family, "consistency", None) is not None:
        raise UserError(
            f"stage {config.stage} distils a diffusion model, and init={config.init} is a consistency model without "
            "the one that it was tuned from: start from that one"
        )
    if hasattr(family, "mark_tuned"):
        family.mark_tuned()
    if family.teacher is not None:
        return
    if getattr(family, "adapter", None) is not None:
        family.teacher = family.bare()
    elif saves_teacher(family) or asks_for_teacher(config.stage):
        family.teacher = copy.deepcopy(family.trainable("diffusion"))


def saves_teacher(family: Any) -> bool:
    """Whether the family's directory has a place for it, as ours have; those of diffusers have none."""
    return "teacher" in getattr(family, "PARTS", ("teacher",))


def part_to_train(stage: str, family: Any, device: torch.device) -> nn.Module:
    """The module whose weights a stage trains, in float32; every other weight is frozen."""
    family.to(device)
    for module in family.modules():
        module.requires_grad_(False).eval()
    trained: nn.Module = family.trainable(stage)
    return trained.float().requires_grad_(True).train()


def frozen_checksum(family: Any) -> str:
    """SHA-256 of the weights that are not trained: a resumed run must start from the same."""
    digest = hashlib.sha256()
    for module in family.modules():
        for weight in module.parameters():
            if not weight.requires_grad:
                digest.update(weight.detach().to("cpu", torch.float32).contiguous().numpy())
    return digest.hexdigest()


def start_average(config: EMAConfig, trained: nn.Module) -> EMA:
    """The running average of the trained weights; kind `none` is their last value."""
    decays: dict[str, Decay] = {
        "power": PowerDecay(config.width),
        "fixed": FixedDecay(config.decay),
        "none": FixedDecay(0.0),
    }
    return EMA(trained.named_parameters(), decays[config.kind])
