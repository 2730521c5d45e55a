"""How the processes of a run divide it: clips among them, weights in shards, or the frames of a clip."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.distributed as distributed
from torch import nn

from vidcm import losses
from vidcm.core.errors import WrongUse
from vidcm.models.context import split_frames
from vidcm.training.checks import VAE_STAGES
from vidcm.training.config import RunConfig


def place_among(config: RunConfig, index: int, processes: int) -> tuple[int, int]:
    """(rank, world) among those that see clips of their own: `context` processes in a row see the same.

    Raises WrongUse where the processes do not make such groups."""
    if processes % config.context:
        raise WrongUse(
            f"context {config.context}: {processes} processes do not make groups of {config.context}: start a multiple"
        )
    return index // config.context, processes // config.context


def asked_for(config: RunConfig) -> list[str]:
    """The settings that divide a model or a clip, as far as they are given."""
    return [name for name, wanted in (("shard", config.shard), ("context", config.context > 1)) if wanted]


def check_stage_divided(config: RunConfig) -> None:
    """Raises WrongUse for a way to train that cannot be divided, whatever the model."""
    for name in asked_for(config):
        if config.lora is not None:
            raise WrongUse(f"{name}: with lora only small factors are trained: leave out {name}, or lora")
        if config.stage in VAE_STAGES:
            raise WrongUse(f"{name}: stage {config.stage} trains a VAE, which stays whole: leave it out")
        if "derivative" in losses.asked_by(losses.get(config.stage)):
            raise WrongUse(f"{name}: stage {config.stage} takes a derivative, which does not pass: leave it out")
        if config.objective.get("adversarial"):
            raise WrongUse(
                f"{name}: a critic sees the teacher's features of whole clips: leave out {name}, or adversarial"
            )


def check_divided(config: RunConfig, family: Any) -> None:
    """Raises WrongUse for what cannot be divided as the config says."""
    check_stage_divided(config)
    for name in asked_for(config):
        if name_in(family, family.trainable(config.stage)) is None:
            raise WrongUse(f"{name}: this model has several networks to train: leave it out")
    if config.context > 1 and not hasattr(family.trainable(config.stage), "FRAME_AXES"):
        raise WrongUse(f"context: the network of family {config.family} has its frames in one: leave it out")


def name_in(family: Any, module: nn.Module) -> str | None:
    """The attribute of the family that is this module."""
    return next((name for name, value in vars(family).items() if value is module), None)


@contextmanager
def frames_divided(config: RunConfig, *networks: nn.Module | None) -> Iterator[None]:
    """While the block runs, the networks divide each clip's frames over groups of `context` processes."""
    with ExitStack() as stack:
        if config.context > 1:
            group, _ = distributed.new_subgroups(group_size=config.context)
            for network in filter(None, networks):
                stack.enter_context(split_frames(network, group))
        yield
