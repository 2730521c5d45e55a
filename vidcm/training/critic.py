"""An adversarial term for distillation: a small critic on the teacher's features of noised latents (arXiv:2403.12015).

    h(x)    = features of the frozen teacher at mix(x, noise, angle), after two of its blocks
    critic  : relu(1 - D(h(x0))) + relu(1 + D(h(sg made)))         hinge; moves D alone
    student : - D(h(made))                                         D held; moves what made `made`

D is a two-layer perceptron on each token, and a score the mean over tokens and blocks. Both terms are of one backward
pass and one optimizer; the weight is the student's alone. As in combinations of consistency and adversarial losses
(arXiv:2503.09641), it sharpens what a distance to the target leaves soft, and gives up the pairing of noise and clip.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vidcm.core.circle import Denoiser, angle_of, mix
from vidcm.core.errors import UserError
from vidcm.core.noise import randn
from vidcm.core.times import log_normal

WIDTH = 64  # of the perceptrons
BLOCKS = ("blocks", "transformer_blocks")  # what networks call the list of theirs


class Critic(nn.Module):
    """teacher: one network of blocks, to which gradient may pass. Raises UserError for another."""

    def __init__(self, teacher: Any, weight: float) -> None:
        super().__init__()
        self.weight = weight
        blocks, width = blocks_of(teacher), width_of(teacher)
        self.taps = (len(blocks) // 2, len(blocks) - 1) if len(blocks) > 1 else (0,)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1))
            for _ in self.taps
        )

    def forward(
        self,
        made: Tensor,
        x0: Tensor,
        *,
        teacher: Any,
        denoise: Denoiser,
        generator: torch.Generator,
        log: Callable[[str, Tensor], None],
    ) -> Tensor:
        """Both terms, [B]. made: of the student; x0: data. denoise: the teacher's, under the batch's condition."""
        shape = (x0.shape[0],) + (1,) * (x0.ndim - 1)
        angle = angle_of(log_normal(shape, 0.0, 1.0, generator=generator).to(x0.device))
        noise = randn(x0.shape, generator=generator, device=x0.device)

        def features(x: Tensor) -> list[Tensor]:
            with listening(blocks_of(teacher), self.taps) as heard:
                denoise(mix(x, noise, angle), angle)
            return [heard[tap].float() for tap in self.taps]

        seen = features(made)
        with torch.no_grad():
            real = features(x0)
        fooling = self.score(seen, held=True)
        on_real, on_made = self.score(real), self.score([each.detach() for each in seen])
        log("critic_real", on_real)
        log("critic_made", on_made)
        return (1 - on_real).relu() + (1 + on_made).relu() - self.weight * fooling

    def score(self, features: list[Tensor], *, held: bool = False) -> Tensor:
        """D [B] of features [B, ..., width] of each block; held: no gradient reaches its weights."""
        scores = []
        with torch.autocast(features[0].device.type, enabled=False):
            for head, each in zip(self.heads, features, strict=True):
                weights = {name: weight.detach() if held else weight for name, weight in head.named_parameters()}
                scores.append(functional_call(head, weights, each)[..., 0].flatten(1).mean(dim=1))
        return torch.stack(scores).mean(dim=0)


@contextmanager
def listening(blocks: nn.ModuleList, places: tuple[int, ...]) -> Iterator[dict[int, Tensor]]:
    """What the blocks at these places put out, of the calls inside: place -> tokens [B, ..., width]."""
    heard: dict[int, Tensor] = {}

    def note(place: int) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            heard[place] = output[0] if isinstance(output, tuple) else output

        return hook

    hooks = [blocks[place].register_forward_hook(note(place)) for place in places]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def blocks_of(network: Any) -> nn.ModuleList:
    found = next((getattr(network, name) for name in BLOCKS if hasattr(network, name)), None)
    if not isinstance(found, nn.ModuleList) or not isinstance(network, nn.Module):
        raise UserError(
            f"objective.adversarial needs a teacher that is one network of blocks, this one is a "
            f"{type(network).__name__}: leave it at 0, and train all weights rather than an adapter"
        )
    return found


def width_of(network: Any) -> int:
    """Channels of a token."""
    config = network.config
    own = getattr(config, "dim", None)
    return int(own or config.num_attention_heads * config.attention_head_dim)
