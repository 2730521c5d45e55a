"""Family `ltx`: LTX-Video, from text, or with the first frame given; from 0.9.5 on any others, too.

A rectified flow over tokens; latents are scaled by the mean and deviation of each channel, which the VAE holds. The
first frame, where it is given, takes the place of the first latent frame, at time zero; others stand beside the clip,
as tokens of their own at their places. Newer VAEs (0.9.1 on) denoise once more while they decode.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import RectifiedFlow
from vidcm.families.flow import angles_of, check_flow
from vidcm.families.stock import pipeline_of
from vidcm.families.video import TRANSFORMERS, Condition, Grid, VideoFamily, copied, with_known

DECODE_TIME, DECODE_NOISE = 0.05, 0.025  # of the decoder's own denoising, as the model card advises


@dataclass
class LTXFamily(VideoFamily):
    PIPELINES: ClassVar = ("LTXPipeline", "LTXImageToVideoPipeline", "LTXConditionPipeline")
    PARTS: ClassVar = {
        "vae": ("AutoencoderKLLTXVideo",),
        "transformer": ("LTXVideoTransformer3DModel",),
        "scheduler": ("FlowMatchEulerDiscreteScheduler",),
        **TRANSFORMERS,
    }
    CLIP: ClassVar = (161, 512, 704)
    RATE: ClassVar = 25
    GUIDANCE: ClassVar = 3.0

    def check(self) -> None:
        check_flow(self.scheduler)
        config = self.transformer.config
        if (config.patch_size, config.patch_size_t) != (1, 1):
            raise UserError(f"this LTX transformer folds {config.patch_size} latents into a token: 1 is known here")

    @property
    def places_frames(self) -> bool:
        """Whether it was trained with frames given at any place (0.9.5 on), and counts time from the first frame on."""
        return bool(self.index) and pipeline_of(self.index) == "LTXConditionPipeline"

    @property
    def tokens(self) -> int:
        return 256 if self.places_frames else 128

    @property
    def attends(self) -> bool:
        return self.places_frames

    @property
    def grid(self) -> Grid:
        return Grid(self.vae.temporal_compression_ratio, self.vae.spatial_compression_ratio)

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        grid = self.grid
        size = (height // grid.side, width // grid.side)
        return (self.transformer.config.in_channels, (num_frames - 1) // grid.time + 1, *size)

    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        """Before 0.9.5 the scheduler shifts its levels by the number of tokens: exp(mu), mu linear between two counts;
        since then they fall slowly at first."""
        scheduler, tokens = copied(self.scheduler), shape[1] * shape[2] * shape[3]
        if self.places_frames:
            from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule  # needs transformers

            scheduler.set_timesteps(timesteps=1000 * linear_quadratic_schedule(steps).numpy())
            return angles_of(scheduler)
        few, many = (scheduler.config.get(f"{name}_image_seq_len") for name in ("base", "max"))
        low, high = (scheduler.config.get(f"{name}_shift") for name in ("base", "max"))
        mu = low + (tokens - few) * (high - low) / (many - few)
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
        return angles_of(scheduler)

    # What the network is told ---------------------------------------------------------------------------------------

    def told(self, embedded: Tensor, words: Tensor) -> Condition:
        return {"text": embedded, "words": words}

    @torch.no_grad()
    def images(
        self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        ends = {place: frame for place, frame in ((0, first), (shape[0] - 1, last)) if frame is not None}
        return self.told_frames(ends, shape, batch, rate)

    @torch.no_grad()
    def told_frames(
        self, given: Mapping[int, Tensor], shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        """Every frame but the first stands beside the clip: latents [B, C, K, h, w], and their places [B, K]."""
        first, others = given.get(0), sorted(given.keys() - {0})
        told = {"rate": torch.full((batch,), rate, device=self.device)}
        if others and not self.places_frames:
            raise UserError("this LTX model takes a first frame only: leave other images out, or take 0.9.5 or later")
        if others:
            told["beside"] = torch.cat([self.encode_frames(given[place][:, :, None]) for place in others], dim=2)
            told["places"] = torch.tensor(others, device=self.device).expand(batch, -1)
        if first is None:
            return told
        start = self.encode_frames(first[:, :, None])
        length = self.latent_shape(*shape)[1]
        is_known = torch.zeros(len(first), 1, length, 1, 1, dtype=torch.bool, device=start.device)
        is_known[:, :, 0] = True
        return {**told, "known": F.pad(start, (0, 0, 0, 0, 0, length - 1)), "is_known": is_known}

    # The circle -----------------------------------------------------------------------------------------------------

    def denoiser(self, condition: Condition, network: nn.Module | None = None) -> Denoiser:
        net = self.transformer if network is None else network
        denoise = RectifiedFlow(time_scale=1000.0).denoiser(partial(self._velocity, net), **condition)
        return with_known(denoise, condition["known"], condition["is_known"]) if "known" in condition else denoise

    def _velocity(
        self,
        net: Any,
        y: Tensor,
        time: Tensor,
        *,
        text: Tensor,
        words: Tensor,
        rate: Tensor,
        known: Tensor | None = None,
        is_known: Tensor | None = None,
        beside: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """noise - x0 at y [B, C, T, h, w], time [B] in 0..1000. rate: frames per second [B], all equal."""
        frames, height, width = y.shape[2:]
        time = time[:, None]
        if known is not None and is_known is not None:
            y = torch.where(is_known, known.to(y.dtype), y)
            given = is_known.flatten(1).repeat_interleave(height * width, dim=1)
            time = time.expand(given.shape).masked_fill(given, 0)
        states, others = y.flatten(2), 0
        if beside is not None:
            states, others = torch.cat((beside.flatten(2).to(y.dtype), states), dim=2), beside[0, 0].numel()
            time = F.pad(time.expand(-1, frames * height * width), (others, 0))
        tokens = net(
            hidden_states=states.transpose(1, 2).to(net.dtype),
            encoder_hidden_states=text.to(net.dtype),
            timestep=time,
            encoder_attention_mask=words,
            num_frames=frames,
            height=height,
            width=width,
            return_dict=False,
            **self._places(y, float(rate[0]), places),
        )[0]
        return tokens[:, others:].transpose(1, 2).reshape(y.shape)

    def _places(self, y: Tensor, rate: float, beside: Tensor | None) -> dict[str, Any]:
        """Where tokens lie, in seconds and pixels. Those of frames beside the clip, at the same places in all clips,
        come first."""
        grid = self.grid
        if not self.places_frames:
            return {"rope_interpolation_scale": (grid.time / rate, grid.side, grid.side)}
        frame, row, column = (torch.arange(count, device=y.device, dtype=torch.float32) for count in y.shape[2:])
        starts = (grid.time * frame + 1 - grid.time).clamp(min=0)
        starts = starts if beside is None else torch.cat((beside[0].to(starts), starts))
        places = torch.meshgrid(starts / rate, grid.side * row, grid.side * column, indexing="ij")
        return {"video_coords": torch.stack(places).flatten(1).expand(len(y), -1, -1)}

    # The VAE --------------------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean, std = self._scale(self.device)
        return (self.posterior(frames, generator) - mean) / std

    @torch.no_grad()
    def decode(self, x0: Tensor, noise: Tensor | None = None) -> Tensor:
        mean, std = self._scale(x0.device)
        latents = x0 * std + mean
        if not self.vae.config.timestep_conditioning:
            return self.pictures(latents)
        if noise is not None:
            latents = (1 - DECODE_NOISE) * latents + DECODE_NOISE * noise
        time = torch.full((len(x0),), DECODE_TIME, device=x0.device, dtype=self.vae.dtype)
        return self.pictures(latents, time)

    def _scale(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the VAE's channels, [1, C, 1, 1, 1], float32."""
        mean, std = (
            each.to(device, torch.float32).view(1, -1, 1, 1, 1)
            for each in (self.vae.latents_mean, self.vae.latents_std)
        )
        return mean, std / self.vae.config.scaling_factor


FAMILY = LTXFamily
