"""What an objective asks for beside the student (`losses.SUPPLIES`): averaged target, teacher, derivative, weighting.

Target and weighting are state of the run: they are saved in its checkpoints, and move with each step that was taken.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vidcm import losses
from vidcm.core.circle import Denoiser
from vidcm.core.derivative import STEP, discrete, exact
from vidcm.core.dropout import shared_dropout
from vidcm.core.errors import UserError
from vidcm.models.attention import attention_backend
from vidcm.training.checks import check_guidance
from vidcm.training.critic import Critic
from vidcm.training.metrics import say

Logs = dict[str, float]


class LogWeight(nn.Module):
    """w(angle) of adaptive weighting (arXiv:2410.11081, section 4.2): 0 everywhere until it is trained."""

    def __init__(self, waves: int = 8):
        super().__init__()
        self.waves = waves
        self.linear = nn.Linear(2 * waves, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, angle: Tensor) -> Tensor:
        """angle [B, 1, ...] -> [B], float32."""
        with torch.autocast(angle.device.type, enabled=False):
            phase = angle.flatten()[:, None] * 2.0 ** torch.arange(self.waves, device=angle.device)
            return self.linear(torch.cat((phase.sin(), phase.cos()), dim=1))[:, 0]


class Derivative:
    """df/dangle along a path: an exact Jacobian-vector product through math attention, or, where none passes, the
    discrete form, from the first failure on. In float32 whatever the precision of the run.

    coarse: the network's own weights are half precision, in which a difference of two values is mere rounding."""

    def __init__(self, coarse: bool = False) -> None:
        self.hindrance: str | None = None  # why no exact derivative passes
        self.coarse = coarse

    def __call__(self, f: Denoiser, x: Tensor, angle: Tensor, dx: Tensor) -> Tensor:
        with plain_arithmetic(x.device):
            if self.hindrance is None:
                try:
                    return exact(f, x, angle, dx)
                except torch.OutOfMemoryError:
                    raise
                except (RuntimeError, NotImplementedError) as error:
                    self.hindrance = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                    if self.coarse:
                        raise UserError(
                            f"no exact derivative passes through this network ({self.hindrance}), and a discrete one "
                            "of weights in half precision is noise: set precision=fp32, or take another objective"
                        ) from error
                    say(f"no exact derivative passes through this network, the discrete form it is ({self.hindrance})")
            return discrete(f, x, angle, dx)

    @torch.no_grad()
    def error(self, found: Tensor, f: Denoiser, x: Tensor, angle: Tensor, dx: Tensor) -> float:
        """How far `found` is from a discrete derivative of half the step, relative to that one's size."""
        with plain_arithmetic(x.device):
            other = discrete(f, x, angle, dx, STEP / 2)
        return ((found - other).norm() / other.norm()).item()


class Aides(nn.Module):
    """The aides of one objective; without one, or with one that asks for nothing, an empty module."""

    def __init__(self, objective: Any, family: Any, trained: nn.Module):
        super().__init__()
        self.asked = losses.asked_by(objective) if objective else set()
        check_guidance(objective, family)
        self.decay: Callable[[int], float] | None = getattr(objective, "target_decay", None)
        device = next(trained.parameters()).device
        if "target" in self.asked:
            self.target = copy.deepcopy(trained).requires_grad_(False)
        if "log_weight" in self.asked:
            self.log_weight = LogWeight().to(device)
        if weight := getattr(objective, "adversarial", 0.0):
            self.critic = Critic(family.teacher, weight).to(device)
        networks = getattr(family, "networks", [trained])
        self.derivative = Derivative(any(x.dtype.itemsize < 4 for each in networks for x in each.parameters()))

    def trainable(self) -> list[tuple[str, nn.Parameter]]:
        """Named parameters that the optimizer moves beside the student's."""
        return [(f"aides.{name}", weight) for name, weight in self.named_parameters() if weight.requires_grad]

    @torch.no_grad()
    def follow(self, trained: nn.Module, stage: int) -> None:
        """Move the target towards the student, after a step taken at `stage`."""
        if "target" in self.asked and self.decay is not None:
            for average, weight in zip(self.target.parameters(), trained.parameters(), strict=True):
                average.lerp_(weight, 1 - self.decay(stage))

    def supply(self, family: Any, condition: Any, samples_seen: int, logs: Logs, *, measure: bool) -> dict[str, Any]:
        """The keyword arguments that were asked for, for one batch.

        logs: where the objective's own values go; measure: hold the derivative, if asked for, against another.
        """

        def log(name: str, values: Tensor) -> None:
            logs[name] = values.detach().float().mean().item()

        def derivative(f: Denoiser, x: Tensor, angle: Tensor, dx: Tensor) -> Tensor:
            with shared_dropout() as again:
                found = self.derivative(f, x, angle, dx)
                if measure and not self.derivative.coarse:
                    with again():
                        logs["jvp_error"] = self.derivative.error(found, f, x, angle, dx)
            logs["jvp_exact"] = float(self.derivative.hindrance is None)
            return found

        def network(name: str) -> Denoiser | None:
            if name == "target":
                return in_float32(family.denoiser(condition, self.target))
            if name == "teacher":
                return in_float32(family.denoiser(condition, family.teacher))
            without = getattr(family, "unconditional", None)
            return in_float32(family.denoiser(without(condition), family.teacher)) if without else None

        known = {"derivative": derivative, "samples_seen": samples_seen, "log": log}
        known |= {name: network(name) for name in self.asked & {"teacher", "unguided", "target"}}
        known["critic"] = self.critic_of(family, condition, log) if hasattr(self, "critic") else None
        known |= {"log_weight": self.log_weight} if "log_weight" in self.asked else {}
        return {name: known[name] for name in self.asked}

    def critic_of(self, family: Any, condition: Any, log: Callable[[str, Tensor], None]) -> losses.Critic:
        """The adversarial term under the condition of a batch."""
        denoise = family.denoiser(condition, family.teacher)

        def judge(made: Tensor, x0: Tensor, generator: torch.Generator) -> Tensor:
            return self.critic(made, x0, teacher=family.teacher, denoise=denoise, generator=generator, log=log)

        return judge


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """Attention as matrix products, ours and that of other libraries' networks; no half precision."""
    with attention_backend("math"), sdpa_kernel(SDPBackend.MATH), torch.autocast(device.type, enabled=False):
        yield


def in_float32(denoiser: Callable[..., Tensor]) -> Denoiser:
    return lambda x, angle, **told: denoiser(x, angle, **told).float()
