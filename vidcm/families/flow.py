"""Rectified flow as diffusers' schedulers tell it: which noise levels the stock pipeline visits."""

from math import atan
from typing import Any

from vidcm.core.circle import PURE_NOISE
from vidcm.core.errors import UserError


def check_flow(scheduler: Any) -> None:
    """Raises UserError for a scheduler of another kind of model."""
    kind, config = type(scheduler).__name__, scheduler.config
    if not kind.startswith("FlowMatch") and not config.get("use_flow_sigmas", False):
        raise UserError(f"scheduler {kind} is not of a rectified flow, which this family is: take another copy")


def angles_of(scheduler: Any) -> tuple[float, ...]:
    """Falling angles, the last 0, of a scheduler whose timesteps are set: s = sin / (cos + sin)."""
    levels = [float(s) for s in scheduler.sigmas]
    levels = levels if levels[-1] == 0 else [*levels, 0.0]
    return tuple(PURE_NOISE if s >= 1 else atan(s / (1 - s)) for s in levels)
