"""The middle angle of two-step sampling, chosen for a generator by what its clips look like, and stored with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.evaluation.clip_sets import Reference, as_pictures
from vidcm.evaluation.drawing import Sampler, draw_clips
from vidcm.metrics.clip_features import clip_features
from vidcm.metrics.sliced import sliced_wasserstein
from vidcm.models.scheduler import ConsistencyScheduler

MIDDLES = (0.5, 0.8, 1.01, 1.2, 1.35)  # radians


def choose_middle(
    family: Any, clips: Tensor, middles: Sequence[float] = MIDDLES, *, seed: int = 0, batch: int = 8
) -> dict[float, float]:
    """Middle angle -> sliced Wasserstein distance of two-step samples to `clips`; the family is left at the best one.

    clips: uint8 [N, 3, T, H, W], of neither the test nor its sources. Raises UserError for angles that cannot be.
    """
    before = (family.consistency or ConsistencyScheduler()).config
    kept = {name: before[name] for name in ("start", "temperature", "trust", "spread")}
    for middle in middles:
        if not 0 < middle < kept["start"]:
            raise UserError(f"a middle angle must lie between 0 and the start, {kept['start']:.3f}, got {middle}")
    reference, found = Reference(clips), {}
    for middle in middles:
        family.consistency = ConsistencyScheduler(middle=middle, **kept)
        drawn = draw_clips(family, Sampler("consistency", 2), clips, seed=seed, batch=batch)
        features = reference.scaling(clip_features(as_pictures(drawn.frames)))
        found[middle] = sliced_wasserstein(features, reference.features)
    family.consistency = ConsistencyScheduler(middle=min(found, key=found.__getitem__), **kept)
    return found


def store_sampling(family: Any, model: Path) -> None:
    """Write where few-step sampling goes into a model directory, whose weights stay as they are."""
    family.consistency.save_pretrained(model / "consistency")
