"""One training step's loss: a batch goes in, a loss per sample and named logs come out."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vidcm import losses
from vidcm.core.circle import t_of
from vidcm.settings import from_mapping
from vidcm.training.aides import Aides, Logs
from vidcm.training.checks import VAE_STAGES, check_stage
from vidcm.training.config import RunConfig

MEASURE_EVERY = 64  # batches: how often a derivative is held against another
NOISE_BINS = 4  # of equal width in angle, clean to pure noise

LossFunction = Callable[..., tuple[Tensor, Logs]]


class StageLoss(nn.Module):
    """The loss of a stage as a module around the weights that the stage trains: what DDP wraps and calls.

    aides: what moves with them, such as a learned weighting of noise levels.

    forward(batch, generator, samples_seen, stage) -> (loss [B] float32, logs). The networks run in bf16 if asked to.
    """

    def __init__(self, trained: nn.Module, aides: nn.Module, compute: LossFunction, *, bf16: bool):
        super().__init__()
        self.trained, self.aides = trained, aides
        self._compute = compute
        self._bf16 = bf16

    def forward(self, batch: dict[str, Any], generator: torch.Generator, **progress: int) -> tuple[Tensor, Logs]:
        with torch.autocast(generator.device.type, torch.bfloat16, enabled=self._bf16):
            loss, logs = self._compute(batch, generator=generator, **progress)
        return loss.float(), logs


def loss_function(config: RunConfig, family: Any, trained: nn.Module) -> tuple[LossFunction, Aides]:
    """compute(batch, *, generator, samples_seen, stage) of the config's stage, and the aides of its objective.

    trained: the weights of the family that the stage trains.
    """
    if config.stage in VAE_STAGES:
        if config.objective:
            family.objective = from_mapping(type(family.objective), config.objective, "objective")
        return partial(_family_loss, getattr(family, f"{config.stage}_loss")), Aides(None, family, trained)
    check_stage(config.stage)
    objective = from_mapping(losses.get(config.stage), config.objective, "objective")
    aides = Aides(objective, family, trained)
    return partial(_objective_loss, family, objective, aides), aides


def _family_loss(loss: LossFunction, batch: dict[str, Any], *, stage: int, **rest: Any) -> tuple[Tensor, Logs]:
    value, logs = loss(batch, **rest)
    return value, {**logs, **culprit(value)}


def _objective_loss(
    family: Any,
    objective: Any,
    aides: Aides,
    batch: dict[str, Any],
    *,
    generator: torch.Generator,
    samples_seen: int,
    stage: int,
) -> tuple[Tensor, Logs]:
    if "x0" in batch:  # from the latent cache
        x0, condition = batch["x0"], batch["condition"]
    else:
        with torch.no_grad():
            x0, condition = family.encode(batch, generator=generator)
    logs: Logs = {}
    f = AngleProbe(family.denoiser(condition))
    measure = samples_seen // len(x0) % MEASURE_EVERY == 0
    asked = aides.supply(family, condition, samples_seen, logs, measure=measure)
    if "target" in asked:
        asked["target"] = f.watch(asked["target"])
    loss = objective(f, x0.float(), stage=stage, generator=generator, **asked)
    curriculum = {"stage": float(stage), **f.ratio()} if "derivative" not in asked else {}
    spread = {"loss_spread": loss.detach().std().item()} if len(loss) > 1 else {}
    return loss, {**f.binned(loss), **spread, **curriculum, **logs, **culprit(loss, f.angle)}


class AngleProbe:
    """A denoiser that answers in float32 and remembers the angles of its first call with gradient, the student's, and
    of the latest one without, the target's."""

    def __init__(self, denoiser: Callable[[Tensor, Tensor], Tensor]):
        self._denoiser = denoiser
        self.angle: Tensor | None = None
        self.earlier: Tensor | None = None

    def __call__(self, x: Tensor, angle: Tensor, **options: Any) -> Tensor:
        if not torch.is_grad_enabled():
            self.earlier = angle
        elif self.angle is None:
            self.angle = angle.detach()
        return self._denoiser(x, angle, **options).float()

    def watch(self, target: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A target with weights of its own, whose angles are remembered as well."""

        def watched(x: Tensor, angle: Tensor, **options: Any) -> Tensor:
            self.earlier = angle
            return target(x, angle, **options)

        return watched

    def ratio(self) -> Logs:
        """Mean of r/t, which a curriculum raises towards 1; nothing where there is no target."""
        if self.angle is None or self.earlier is None:
            return {}
        return {"ratio": (t_of(self.earlier) / t_of(self.angle)).nan_to_num(0.0, 0.0).mean().item()}

    def binned(self, loss: Tensor) -> Logs:
        """Mean loss [B] of the samples in each quarter of the way from clean to pure noise; empty bins are left out."""
        if self.angle is None:
            return {}
        bins = (self.angle.flatten() * (NOISE_BINS * 2 / math.pi)).long().clamp(0, NOISE_BINS - 1)
        return {f"loss_noise{i}": loss.detach()[bins == i].mean().item() for i in bins.unique().tolist()}


def culprit(loss: Tensor, angle: Tensor | None = None) -> Logs:
    """The first sample whose loss [B] is not finite: its place in the batch, its angle; nothing where all are."""
    bad = (~loss.detach().isfinite()).nonzero().flatten().tolist()
    if not bad:
        return {}
    found = {"bad_sample": float(bad[0]), "bad_samples": float(len(bad))}
    return found if angle is None else {**found, "bad_angle": angle.flatten()[bad[0]].item()}


def keyed_seed(*key: int) -> int:
    """A 63-bit seed that is a pure function of the key, such as (seed, step, rank)."""
    text = "/".join(map(str, key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def to_device(batch: Any, device: torch.device) -> Any:
    """A batch, dictionaries nested in it included, on the device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    return {key: to_device(value, device) for key, value in batch.items()}
