"""How a pretrained family is tuned: which weights move, and what it makes of a batch of clips and captions."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vidcm.core.errors import UserError, WrongUse
from vidcm.families.adapter import Adapter, Bare, attach, merge, one_or_list
from vidcm.models.scheduler import ConsistencyScheduler

Condition = dict[str, Tensor]
Self = TypeVar("Self", bound="Tunable")
TEXTS_KEPT = 64  # encoded prompts: a few hundred MiB of the largest


class Tunable:
    """The part of VideoFamily that training calls; what it reads of `self` is declared there."""

    networks: Any
    adapter: Any
    base: str
    device: torch.device
    consistency: ConsistencyScheduler | None
    grid: Any
    prompt: str
    captions: tuple[str, ...]
    texts: dict[str, Condition]
    images: Any
    text: Any
    encode_frames: Any
    RATE: Any

    def mark_tuned(self) -> None:
        """From here on the weights are those of a consistency model: few-step sampling goes where it usually does."""
        self.consistency = self.consistency or ConsistencyScheduler()

    def adapt(self, rank: int, base: str) -> None:
        """Train adapters of that rank, and nothing else. base: the directory that the weights were read from."""
        for network in self.networks:
            attach(network, rank)
        self.adapter, self.base = one_or_list(map(Adapter, self.networks)), base

    def bare(self) -> nn.Module:
        """The networks with their adapters off, without a copy."""
        return one_or_list(map(Bare, self.networks))

    def merge(self: Self) -> Self:
        """Add the adapters to the weights: what `save` then writes is a whole directory."""
        for network in self.networks if self.base else ():
            merge(network)
        self.base, self.adapter = "", None
        return self

    def checkpoint_gradients(self) -> None:
        """Compute activations of the networks twice instead of keeping them."""
        for network in self.networks:
            network.enable_gradient_checkpointing()

    def vae_loss(self, *_: Any, **__: Any) -> Any:
        raise WrongUse("the VAE of a pretrained model stays as it is: stage must be an objective, such as ect")

    decoder_loss = vae_loss

    @torch.no_grad()
    def encode(self, batch: Mapping[str, Tensor], *, generator: torch.Generator) -> tuple[Tensor, Condition]:
        """x0 [B, C, T, h, w] of whole clips, both ends and all between, and what the network is told of them."""
        if not (batch["first_present"].all() and batch["last_present"].all()):
            raise UserError("data.absent must be 0 for this family: it is trained on whole clips")
        clip = torch.cat((batch["first"][:, :, None], batch["frames"], batch["last"][:, :, None]), dim=2)
        shape, size = tuple(clip.shape[2:]), len(clip)
        self.grid.check(*shape)
        given = self.images(*self.given(clip), shape, size, float(self.RATE))
        return self.encode_frames(clip, generator), {**self.captioned(batch.get("caption"), size), **given}

    def given(self, clip: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """First and last frame of a clip [B, 3, T, H, W] in training, None where the network makes it."""
        return None, None

    def uses(self, clip: Tensor) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """What the model is for, by name, and the frames of a clip that it is given then: what it is judged by."""
        return {"": self.given(clip)}

    def unconditional(self, condition: Condition) -> Condition:
        """Without the prompt."""
        return {**condition, **self.said("", len(condition["text"]))}

    def captioned(self, places: Tensor | None, batch: int) -> Condition:
        """What the network is told of clips by their captions, int64 [B]; of those without one by the prompt."""
        if places is None or not self.captions:
            return self.said(self.prompt, batch)
        each = [self.said(self.captions[place] or self.prompt, 1) for place in places.tolist()]
        return {name: torch.cat([one[name] for one in each]) for name in each[0]}

    @torch.no_grad()
    def said(self, prompt: str, batch: int) -> Condition:
        """What the network is told of one prompt for all; encoded once, as long as it is used."""
        if prompt in self.texts:
            self.texts[prompt] = self.texts.pop(prompt)  # the last to go
        else:
            self.texts[prompt] = self.text([prompt])[0]
            if len(self.texts) > TEXTS_KEPT:
                del self.texts[next(iter(self.texts))]
        return {
            name: value.to(self.device).expand(batch, *value.shape[1:]) for name, value in self.texts[prompt].items()
        }
