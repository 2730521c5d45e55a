"""What the families of pretrained video models share: their parts, sizes, prompts, and the directory they lie in."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError, WrongUse
from vidcm.families.adapter import fill, one_or_list, save_adapter
from vidcm.families.checkpoint import load_component
from vidcm.families.grid import Grid
from vidcm.families.laid import Laid, read_adapter
from vidcm.families.stock import load_part, pipeline_of, read_index, save_parts
from vidcm.families.text import embed
from vidcm.families.tunable import Condition, Tunable
from vidcm.models.scheduler import ConsistencyScheduler

TRANSFORMERS = {
    "tokenizer": ("T5Tokenizer", "T5TokenizerFast"),
    "text_encoder": ("T5EncoderModel", "UMT5EncoderModel"),
}


@dataclass
class VideoFamily(Tunable, ABC):
    """A pretrained model whose parts a diffusers pipeline names. A subclass says how its network sees the circle.

    index: model_index.json as it was read. consistency: where few-step sampling goes, None for weights that were not
    tuned for it. device: where the networks compute. captions: of the dataset of a training run, whose batches
    name them by their place; prompt: for clips without one; texts: what was encoded last. base: directory of the
    weights that an adapter is laid on; empty: none is.
    """

    vae: Any
    transformer: Any
    scheduler: Any
    text_encoder: Any
    tokenizer: Any
    transformer_2: Any = None
    image_encoder: Any = None
    image_processor: Any = None
    consistency: ConsistencyScheduler | None = None
    index: dict[str, Any] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    teacher: Any = None
    prompt: str = ""
    captions: tuple[str, ...] = ()
    texts: dict[str, Condition] = field(default_factory=dict, repr=False)
    base: str = ""
    adapter: Any = None  # while it is trained

    PIPELINES: ClassVar[tuple[str, ...]]  # classes of diffusers whose directories are read; the first is the plain one
    PARTS: ClassVar[Mapping[str, tuple[str, ...]]]  # name -> classes
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()  # parts that the directory may leave out
    CLIP: ClassVar[tuple[int, int, int]]  # usual num_frames, height, width
    PRECISE: ClassVar[frozenset[str]] = frozenset()  # parts that compute in float32 whatever the others do
    RATE: ClassVar[int]  # usual frames per second
    GUIDANCE: ClassVar[float]  # usual scale of the diffusion model

    # Directories ----------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, config: Mapping[str, Any]) -> "VideoFamily":
        raise WrongUse("this family starts from pretrained weights: init= must name their diffusers directory")

    @classmethod
    def load(cls, folder: str | Path, dtype: torch.dtype = torch.float32) -> "VideoFamily":
        """On the CPU, networks in `dtype`; a directory with an adapter brings the network that it is laid on.

        Raises UserError for what is missing, damaged or unknown."""
        laid = read_adapter(folder)
        if laid is not None:
            return cls._load_laid(laid, dtype)
        index = read_index(folder)
        if pipeline_of(index) not in cls.PIPELINES:
            raise UserError(
                f"{folder} holds a {pipeline_of(index)}, this family reads {', '.join(cls.PIPELINES)}: "
                "choose the family that fits (vidcm models)"
            )
        dtypes = {name: torch.float32 if name in cls.PRECISE else dtype for name in cls.PARTS}
        parts = {name: load_part(folder, index, name, known, dtypes[name]) for name, known in cls.PARTS.items()}
        missing = [name for name, part in parts.items() if part is None and name not in cls.OPTIONAL]
        if missing:
            raise UserError(f"{folder} is not a complete model directory: {missing[0]} is missing from its index")
        family = cls(**parts, consistency=load_consistency(folder), index=index)
        family.check()
        return family

    @classmethod
    def _load_laid(cls, laid: Laid, dtype: torch.dtype) -> "VideoFamily":
        family = cls.load(laid.base, dtype)
        for index, network in enumerate(family.networks):
            fill(network, laid, index)
        family.base, family.consistency = str(laid.base), load_consistency(laid.folder)
        return family

    def save(self, folder: str | Path) -> None:
        """In the layout it was read in, which the stock pipeline loads too; weights keep their dtype.

        Tuned weights are saved with where few-step sampling goes. Of a network with an adapter, the adapter alone is
        written."""
        if self.base:
            save_adapter(folder, self.networks, self.base, self.consistency)
            return
        names = [name for name in self.PARTS if getattr(self, name) is not None]
        parts = {name: getattr(self, name) for name in names}
        save_parts(folder, self.index or self.default_index(parts), {**parts, "consistency": self.consistency})

    def default_index(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """model_index.json for parts that were put together in memory."""
        named = {name: [type(part).__module__.split(".")[0], type(part).__name__] for name, part in parts.items()}
        return {"_class_name": self.PIPELINES[0], **named}

    @abstractmethod
    def check(self) -> None:
        """Raises UserError for settings of the parts that this family has no answer to."""

    # Modules --------------------------------------------------------------------------------------------------------

    def modules(self) -> Iterable[nn.Module]:
        values = (getattr(self, item.name) for item in fields(self))
        return (value for value in values if isinstance(value, nn.Module))

    def to(self, device: torch.device | str) -> "VideoFamily":
        for module in self.modules():
            module.to(device)
        self.device = torch.device(device)
        return self

    def trainable(self, stage: str) -> nn.Module:
        """The networks, or their adapters; "vae" is asked for by the key of latents, and is not trained."""
        if stage == "vae":
            return self.vae
        return one_or_list(self.networks) if self.adapter is None else self.adapter

    @property
    def boundary(self) -> float | None:
        """Noise level s from which on the first of two networks answers; None where there is one."""
        return None

    @property
    def networks(self) -> list[Any]:
        """What answers at one noise level or another."""
        return [self.transformer] if self.transformer_2 is None else [self.transformer, self.transformer_2]

    # Clips and prompts ----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def grid(self) -> Grid: ...

    @property
    @abstractmethod
    def tokens(self) -> int:
        """Of a prompt."""

    @property
    def attends(self) -> bool:
        """Whether its text encoder is told where the padding is: see `text.embed`."""
        return False

    @property
    def usual_clip(self) -> tuple[int, int, int]:
        """num_frames, height, width for who does not ask."""
        return self.CLIP

    @abstractmethod
    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """[C, T, h, w] of a clip's x0."""

    def text(self, prompts: list[str], negative: list[str] | None = None) -> tuple[Condition, Condition]:
        """What the network is told of prompts, and of what to be led away from (nothing, if not said)."""
        both = [*prompts, *(negative or [""] * len(prompts))]
        embedded, words = embed(
            self.tokenizer, self.text_encoder, self.prepared(both), self.tokens, self.device, attend=self.attends
        )
        return tuple(self.told(*half) for half in zip(embedded.chunk(2), words.chunk(2), strict=True))  # type: ignore

    def prepared(self, prompts: list[str]) -> list[str]:
        return prompts

    def told(self, embedded: Tensor, words: Tensor) -> Condition:
        return {"text": embedded}

    @abstractmethod
    def images(
        self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        """What the network is told of given frames [B, 3, H, W] in 0..1. shape: num_frames, height, width."""

    def told_frames(
        self, given: Mapping[int, Tensor], shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        """The same of frames by their place in the clip; here of its ends alone."""
        end = shape[0] - 1
        for place in given.keys() - {0, end}:
            raise UserError(
                f"this model is told of a first or last frame only, got one for place {place}: leave it out"
            )
        return self.images(given.get(0), given.get(end) if end else None, shape, batch, rate)

    # The circle -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        """steps + 1 falling angles, the last 0, where the stock scheduler goes. shape: of x0, [C, T, h, w]."""

    @abstractmethod
    def denoiser(self, condition: Condition, network: nn.Module | None = None) -> Denoiser:
        """denoiser(x, angle) -> x0 of the transformer, or of another network like it, under a condition."""

    @abstractmethod
    def encode_frames(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x0 [B, C, T, h, w] of frames [B, 3, T, H, W] in 0..1: the posterior's mode, or with a generator a draw."""

    @abstractmethod
    def decode(self, x0: Tensor, noise: Tensor | None = None) -> Tensor:
        """Frames [B, 3, T, H, W], float32 in 0..1. noise: like x0, for a VAE whose decoder takes some."""

    def given_back(self, frames: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """Decoded frames [B, 3, T, H, W] with what the given ones, place -> [B, 3, H, W], tell of them put in, where a
        family does that."""
        return frames

    def posterior(self, frames: Tensor, generator: torch.Generator | None) -> Tensor:
        """The VAE's own latents, float32."""
        kind = "cpu" if self.device.type == "meta" else self.device.type  # autocast knows no meta device
        with torch.autocast(kind, enabled=False):
            found = self.vae.encode((2 * frames - 1).to(self.device, self.vae.dtype)).latent_dist
        return (found.mode() if generator is None else found.sample(generator)).float()

    def pictures(self, latents: Tensor, *timing: Tensor) -> Tensor:
        """Frames of the VAE's own latents."""
        made = self.vae.decode(latents.to(self.vae.dtype), *timing, return_dict=False)[0]
        return (made.float() / 2 + 0.5).clamp(0, 1)


def load_consistency(folder: str | Path) -> ConsistencyScheduler | None:
    """Where few-step sampling goes, None in a directory of weights that were not tuned for it."""
    tuned = (Path(folder) / "consistency").is_dir()
    return load_component(ConsistencyScheduler, folder, "consistency") if tuned else None


def with_known(denoiser: Denoiser, known: Tensor, is_known: Tensor) -> Denoiser:
    """A denoiser that says of given frames what they are. known: x0 there; is_known: bool, broadcasts over x0."""

    def denoise(x: Tensor, angle: Tensor) -> Tensor:
        return torch.where(is_known, known.to(x.dtype), denoiser(x, angle))

    return denoise


def copied(scheduler: Any) -> Any:
    """A scheduler to ask for its timesteps, so that the family's own keeps no state."""
    return copy.deepcopy(scheduler)


def refuse_image(first: Tensor | None, last: Tensor | None, why: str) -> None:
    if first is not None or last is not None:
        raise UserError(f"this model takes no image: {why}")
