"""What can be said against a run before anything is opened: its stage, its objective, its curriculum."""

import os
from typing import Any

from vidcm import families, losses
from vidcm.core.errors import WrongUse
from vidcm.core.guidance import UNGUIDED, is_embedded
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig

VAE_STAGES = ("vae", "decoder")


def check_objective(config: RunConfig) -> None:
    """Raises UserError for a stage that is none, values that its objective does not take, a teacher or a guidance that
    it cannot have here, and a curriculum that goes on after the run."""
    check_stage(config.stage)
    if config.stage in VAE_STAGES:
        if config.latents.samples or config.latents.prepared:
            raise WrongUse(f"latents are for objectives, the stage {config.stage} sees pictures: leave latents out")
        return
    objective = from_mapping(losses.get(config.stage), config.objective, "objective")
    if config.init is None:
        refuse_untaught(config.stage)
    check_guidance(objective, families.get(config.family))
    check_curriculum(config)


def check_stage(stage: str) -> None:
    known = [*VAE_STAGES, *losses.available()]
    if stage not in known:
        raise WrongUse(f"unknown stage {stage!r}; known: {', '.join(known)}")


def refuse_untaught(stage: str) -> None:
    """A new model has no teacher to distil."""
    if asks_for_teacher(stage):
        raise WrongUse(f"stage {stage} distils a teacher: init= must name a model trained with stage=diffusion")


def asks_for_teacher(stage: str) -> bool:
    return stage in losses.available() and "teacher" in losses.asked_by(losses.get(stage))


def check_guidance(objective: Any, family: Any) -> None:
    """Guidance needs a condition that can be left out; scales that differ, a network that can be told them.

    family: or its class."""
    interval = getattr(objective, "guidance", UNGUIDED)
    if interval != UNGUIDED and not hasattr(family, "unconditional"):
        raise WrongUse(f"guidance {list(interval)} needs a family with an unconditional form: here only [1, 1] can be")
    if is_embedded(interval) and not getattr(family, "embeds_guidance", False):
        raise WrongUse(
            f"this family's network cannot be told a scale: guidance must be one value, not {list(interval)}"
        )


def check_curriculum(config: RunConfig) -> None:
    """The last stage begins before the run ends. `minutes`, which no one can foretell, may end it earlier."""
    if not config.samples_per_stage:
        return
    batch = (config.latents.samples and config.latents.batch_size) or config.data.batch_size
    samples = config.steps * config.grad_accumulation * batch * int(os.environ.get("WORLD_SIZE", "1"))
    begins = config.samples_per_stage * config.last_stage
    if begins >= samples:
        reached = (samples - 1) // config.samples_per_stage
        raise WrongUse(
            f"stage {config.last_stage} would begin at sample {begins}, after the run's {samples}: "
            f"last_stage must be at most {reached}, or samples_per_stage at most {(samples - 1) // config.last_stage}"
        )
