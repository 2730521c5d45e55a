"""Family `clip`: the shipped generator of small clips. A VideoDiT in the latents of a causal VideoVAE.

Any frames of the clip may be given: none, the first (animate), first and last (in-between), some. A latent frame after
the first stands for four pictures, so a given one tells it the latent of that picture alone, in one of four places. The
first latent frame is the first picture, and is known where that is; in the pictures, given frames are what they are.

Model directory: vae/, transformer/ (the consistency model), teacher/ (the diffusion model it was tuned from),
consistency/ (angles and temperature), model_index.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import CirclePrecond
from vidcm.core.times import edm_angles
from vidcm.families.checkpoint import load_component, save_model
from vidcm.families.clip_detail import give_back
from vidcm.families.clip_objective import ClipObjective, draw_known
from vidcm.families.laid import read_adapter
from vidcm.families.video import Condition, Grid, VideoFamily, load_consistency, with_known
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.video_dit import VideoDiT
from vidcm.models.video_vae import SIDE, TIME, VideoVAE

SPAN = 16  # frames in a unit of the network's time


@dataclass
class ClipFamily(VideoFamily):
    vae: VideoVAE
    transformer: VideoDiT
    scheduler: Any = None
    text_encoder: Any = None
    tokenizer: Any = None
    objective: ClipObjective = field(default_factory=ClipObjective)

    PIPELINES: ClassVar = ("VideoGenerationPipeline",)
    PARTS: ClassVar = {"vae": ("VideoVAE",), "transformer": ("VideoDiT",), "teacher": ("VideoDiT",)}
    OPTIONAL: ClassVar = frozenset({"teacher"})
    PRECISE: ClassVar = frozenset(PARTS)  # small; what they are told is not rounded, and layers take one type alone
    CLIP: ClassVar = (13, 64, 64)
    RATE: ClassVar = 24
    GUIDANCE: ClassVar = 1.0

    # Directories ----------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, config: Mapping[str, Any]) -> "ClipFamily":
        """A new model. config: {"vae": {...}, "dit": {...}}, overriding the classes' defaults."""
        vae = VideoVAE(**config.get("vae", {}))
        latent = vae.config.latent_channels
        sizes = {"dim": 128, "depth": 4, "heads": 4, **config.get("dit", {})}
        return cls(vae, VideoDiT(latent, TIME * (latent + 1), end_channels=0, **sizes))

    @classmethod
    def load(cls, folder: str | Path, dtype: torch.dtype = torch.float32) -> "ClipFamily":
        laid = read_adapter(folder)
        if laid is not None:
            return cls._load_laid(laid, dtype)
        vae, dit = load_component(VideoVAE, folder, "vae"), load_component(VideoDiT, folder, "transformer")
        teacher = load_component(VideoDiT, folder, "teacher") if (Path(folder) / "teacher").is_dir() else None
        family = cls(vae, dit, teacher=teacher, consistency=load_consistency(folder))
        family.check()
        for module in family.modules():
            nn.Module.to(module, torch.float32)  # diffusers' own warns of nothing
        return family

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """dtype: of the weights in the files; None: as they are."""
        if self.base:
            super().save(folder)
            return
        tuned = ConsistencyScheduler() if self.consistency is None and self.teacher is not None else self.consistency
        parts = {"vae": self.vae, "transformer": self.transformer, "teacher": self.teacher, "consistency": tuned}
        save_model(folder, self.PIPELINES[0], parts, dtype or self.transformer.dtype)

    def check(self) -> None:
        latent, seen = self.vae.config.latent_channels, self.transformer.config
        if (seen.latent_channels, seen.condition_channels) != (latent, TIME * (latent + 1)):
            raise UserError(
                f"this transformer works on {seen.latent_channels} latent channels and {seen.condition_channels} of "
                f"condition, its VAE has {latent}, which asks for {TIME * (latent + 1)}: they are of two models"
            )

    # Training -------------------------------------------------------------------------------------------------------

    def vae_loss(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator, samples_seen: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Reconstruction through the posterior. Returns the loss [B] and what to log."""
        return self.objective.reconstruction(self.vae, whole(batch), generator=generator)

    @torch.no_grad()
    def encode(self, batch: Mapping[str, Tensor], *, generator: torch.Generator) -> tuple[Tensor, Condition]:
        """x0 [B, C, T, h, w] of whole clips, and the frames of them that the network is told."""
        if self.prompt:
            raise UserError(f"this model reads no text, leave the prompt out, got {self.prompt!r}")
        clip = whole(batch)
        self.grid.check(*clip.shape[2:])
        known = draw_known(len(clip), clip.shape[2], generator).to(clip.device)
        return self.encode_frames(clip), self.told_of(clip, known)

    def uses(self, clip: Tensor) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """To animate a picture, and to fill in between two; without any it is a test bed."""
        first, last = clip[:, :, 0], clip[:, :, -1]
        return {"first": (first, None), "ends": (first, last)}

    def unconditional(self, condition: Condition) -> Condition:
        """Without given frames."""
        return {**condition, "condition": torch.zeros_like(condition["condition"])}

    # Clips ----------------------------------------------------------------------------------------------------------

    @property
    def grid(self) -> Grid:
        return Grid(TIME, SIDE)

    @property
    def tokens(self) -> int:
        return 0

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        return self.vae.config.latent_channels, (num_frames - 1) // TIME + 1, height // SIDE, width // SIDE

    def text(self, prompts: list[str], negative: list[str] | None = None) -> tuple[Condition, Condition]:
        for said in (*prompts, *(negative or [])):
            if said:
                raise UserError(f"this model reads no text, leave the prompt out, got {said!r}: give it an image")
        return {}, {}

    def images(
        self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        given = {place: frame for place, frame in ((0, first), (shape[0] - 1, last)) if frame is not None}
        return self.told_frames(given, shape, batch, rate)

    def told_frames(
        self, given: Mapping[int, Tensor], shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        clip = torch.zeros(batch, 3, *shape, device=self.device)
        known = torch.zeros(batch, shape[0], dtype=torch.bool, device=self.device)
        for place, frame in given.items():
            clip[:, :, place], known[:, place] = frame, True
        return self.told_of(clip, known)

    @torch.no_grad()
    def told_of(self, clip: Tensor, known: Tensor) -> Condition:
        """What the network is told of the frames of clips [B, 3, 1 + 4 n, H, W] that are `known`, bool [B, 1 + 4 n].

        condition [B, 4 (C + 1), 1 + n, h, w]: for each of the four pictures of a latent frame its latent, and whether
        there is one; the first latent frame has the fourth alone. tau [B, 1 + n]: when."""
        batch, count = known.shape
        latent, height, width = self.latent_shape(1, *clip.shape[-2:])[0], *(side // SIDE for side in clip.shape[-2:])
        told = clip.new_zeros(batch, TIME - 1 + count, latent + 1, height, width)
        if known.any():
            pictures = clip.transpose(1, 2)[known][:, :, None]
            told[:, TIME - 1 :, :latent][known] = self.encode_frames(pictures)[:, :, 0].to(told)
            told[:, TIME - 1 :, latent] = known[:, :, None, None].to(told)
        condition = rearrange(told, "b (t four) c h w -> b (four c) t h w", four=TIME)
        tau = torch.arange(condition.shape[2], device=clip.device) * (TIME / SPAN)
        return {"condition": condition, "tau": tau.expand(batch, -1)}

    # The circle -----------------------------------------------------------------------------------------------------

    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        return edm_angles(steps, t_min=0.02)

    def denoiser(self, condition: Condition, network: nn.Module | None = None) -> Denoiser:
        """Of the transformer, or of another network like it; a first frame that is known is what it is."""
        net = self.transformer if network is None else network
        told = condition["condition"]
        start = told[:, -told.shape[1] // TIME :]  # the fourth place
        is_known = start[:, -1:].bool() & (torch.arange(told.shape[2], device=told.device) == 0)[:, None, None]
        return with_known(CirclePrecond().denoiser(net, **condition), start[:, :-1], is_known)

    # The VAE --------------------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean, log_variance = self.vae.encode(frames.to(self.device, self.vae.dtype))
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
            mean = mean + (0.5 * log_variance).exp() * noise
        return self.vae.scale(mean)

    @torch.no_grad()
    def decode(self, x0: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.vae.decode(self.vae.unscale(x0).to(self.vae.dtype)).float().clamp(0, 1)

    def given_back(self, frames: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        return give_back(frames, {place: frame.to(frames) for place, frame in given.items()})


def whole(batch: Mapping[str, Tensor]) -> Tensor:
    """The clips [B, 3, T, H, W] of a batch: both ends and all between."""
    if not (batch["first_present"].all() and batch["last_present"].all()):
        raise UserError("data.absent must be 0 for this family: it is trained on whole clips")
    return torch.cat((batch["first"][:, :, None], batch["frames"], batch["last"][:, :, None]), dim=2)


FAMILY = ClipFamily
