"""Training objectives, one file each. A new file in this folder that registers a class is found by its name.

An objective is a frozen dataclass (its fields are its configuration) whose instances are called as a `Loss`. What it
needs beside the student it asks for by name, as further keyword arguments of `__call__`: see `SUPPLIES`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vidcm.core.errors import WrongUse

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vidcm.core.circle import Denoiser


class Loss(Protocol):
    """What training calls."""

    def __call__(
        self, f: "Denoiser", x0: "Tensor", *, stage: int, generator: "torch.Generator", **asked: Any
    ) -> "Tensor":
        """f(x, angle) estimates x0; x0: latents [B, C, T, H, W], float32, unit std. Returns the unreduced loss [B]."""
        ...


SUPPLIES = {
    "teacher": "the frozen diffusion model, a Denoiser",
    "unguided": "the teacher without its condition, a Denoiser; None where the family has no such form",
    "target": "the running average of the student, a Denoiser; its decay is the objective's target_decay(stage)",
    "derivative": "(f, x, angle, dx/dangle) -> df/dangle, exact where it can be; to be called without gradient",
    "critic": "(x0 of the student, x0, generator) -> [B], the adversarial term; None where `adversarial` is 0",
    "log_weight": "(angle) -> [B], learned with the student: the w of exp(w) error - w, which settles at -ln(error)",
    "samples_seen": "samples trained on so far, a number",
    "log": "(name, values [B]) -> None: their mean appears in the metrics",
}
"""What an objective can ask for. The networks among it share the student's condition and answer in float32."""

Critic = Callable[["Tensor", "Tensor", "torch.Generator"], "Tensor"]

ALWAYS = {"self", "f", "x0", "stage", "generator"}


_registry: dict[str, type[Any]] = {}
_Class = TypeVar("_Class", bound=type[Any])


def register(name: str) -> Callable[[_Class], _Class]:
    """Class decorator: makes the objective available under `name`."""

    def add(objective: _Class) -> _Class:
        if name in _registry:
            raise ValueError(f"two objectives are named {name!r}: {_registry[name].__module__}, {objective.__module__}")
        if unknown := asked_by(objective) - SUPPLIES.keys():
            raise ValueError(f"objective {name!r} asks for {sorted(unknown)}, training supplies {sorted(SUPPLIES)}")
        _registry[name] = objective
        return objective

    return add


def asked_by(objective: Any) -> set[str]:
    """Names of what an objective, or its class, needs beside the student."""
    return set(inspect.signature(objective.__call__).parameters) - ALWAYS


def check_adversarial(weight: float) -> None:
    """Raises ValueError for a weight that is none."""
    if not 0 <= weight < float("inf"):
        raise ValueError(f"adversarial must be a number of at least 0, got {weight}")


def available() -> list[str]:
    """Names of all objectives, sorted."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_registry)


def get(name: str) -> Callable[..., Loss]:
    """The dataclass registered under `name`: get("ect")(q=4.0) is a Loss. Raises UserError for an unknown name."""
    known = available()
    if name not in known:
        raise WrongUse(f"unknown objective {name!r}, choose one of: {', '.join(known)}")
    return _registry[name]
