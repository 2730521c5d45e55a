"""Running averages of a network's parameters, for evaluation.

    ema <- decay(n) ema + (1 - decay(n)) parameter         after the n-th optimiser step, n = 1, 2, ...

Two decays: fixed, with a warm-up, and the power function of EDM2 (arXiv:2312.02696, section 3).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

Decay = Callable[[int], float]
Named = Iterable[tuple[str, Tensor]]


@dataclass(frozen=True)
class FixedDecay:
    """beta once warm. Before, (1 + n) / (10 + n): short runs and early steps are not held back by the first weights."""

    beta: float = 0.999

    def __call__(self, step: int) -> float:
        return min(self.beta, (1 + step) / (10 + step))


@dataclass(frozen=True)
class PowerDecay:
    """The average after n steps weighs step i with i^gamma: its width is a constant share `sigma_rel` of the run.

    sigma_rel: standard deviation of that profile over n, in (0, 0.288]; EDM2 keeps 0.05 and 0.10.
    """

    sigma_rel: float = 0.05

    @property
    def gamma(self) -> float:
        return gamma_of_width(self.sigma_rel)

    def __call__(self, step: int) -> float:
        return math.pow(1 - 1 / step, self.gamma + 1)


class EMA:
    """Averages named parameters in float32 (float64 stays). Names identify them: order and device may change."""

    def __init__(self, parameters: Named, decay: Decay) -> None:
        self.decay = decay
        self.step = 0
        self.averages = {name: _wide(parameter).clone() for name, parameter in parameters}

    @torch.no_grad()
    def update(self, parameters: Named) -> None:
        """Call once after each optimiser step."""
        self.step += 1
        toward = 1 - self.decay(self.step)
        for name, parameter in parameters:
            self.averages[name].lerp_(_wide(parameter).to(self.averages[name].device), toward)

    @torch.no_grad()
    def copy_to(self, parameters: Named) -> None:
        """Overwrite parameters with their averages, rounded to each one's dtype."""
        for name, parameter in parameters:
            parameter.copy_(self.averages[name])

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "averages": {name: average.clone() for name, average in self.averages.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError if the names differ from those averaged here."""
        averages: dict[str, Tensor] = state["averages"]
        if averages.keys() != self.averages.keys():
            raise KeyError(f"averages saved of other parameters: {sorted(averages.keys() ^ self.averages.keys())}")
        self.step = int(state["step"])
        for name, average in averages.items():
            self.averages[name].copy_(average)


def _wide(parameter: Tensor) -> Tensor:
    return parameter.detach().to(torch.promote_types(parameter.dtype, torch.float32))


@cache
def gamma_of_width(sigma_rel: float) -> float:
    """The gamma >= 0 whose profile has this width, by bisection: the width falls as gamma grows, below 1 / gamma."""
    widest = width_of_gamma(0.0)
    if not 0 < sigma_rel <= widest:
        raise ValueError(f"sigma_rel must lie in (0, {widest:.4f}], the width of a uniform average, got {sigma_rel}")
    low, high = 0.0, 1 / sigma_rel
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if width_of_gamma(middle) > sigma_rel else (low, middle)
    return low


def width_of_gamma(gamma: float) -> float:
    """sigma_rel, the standard deviation of p(s) ~ s^gamma on [0, 1] (EDM2, section 3.1)."""
    return math.sqrt(gamma + 1) / ((gamma + 2) * math.sqrt(gamma + 3))
