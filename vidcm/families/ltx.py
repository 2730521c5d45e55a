"""Family `ltx`: LTX-Video, from text, or with the first frame given.

A rectified flow over tokens; latents are scaled by the mean and deviation of each channel, which the VAE holds. The
first frame, where it is given, takes the place of the first latent frame, at time zero. Newer VAEs (0.9.1 on) denoise
once more while they decode.
"""

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
from vidcm.families.video import TRANSFORMERS, Condition, Grid, VideoFamily, copied, with_known

DECODE_TIME, DECODE_NOISE = 0.05, 0.025  # of the decoder's own denoising, as the model card advises


@dataclass
class LTXFamily(VideoFamily):
    PIPELINES: ClassVar = ("LTXPipeline", "LTXImageToVideoPipeline")
    PARTS: ClassVar = {
        "vae": ("AutoencoderKLLTXVideo",),
        "transformer": ("LTXVideoTransformer3DModel",),
        "scheduler": ("FlowMatchEulerDiscreteScheduler",),
        **TRANSFORMERS,
    }
    CLIP: ClassVar = (161, 512, 704)
    RATE: ClassVar = 25
    GUIDANCE: ClassVar = 3.0
    TOKENS: ClassVar = 128

    def check(self) -> None:
        check_flow(self.scheduler)
        config = self.transformer.config
        if (config.patch_size, config.patch_size_t) != (1, 1):
            raise UserError(f"this LTX transformer folds {config.patch_size} latents into a token: 1 is known here")

    @property
    def grid(self) -> Grid:
        return Grid(self.vae.temporal_compression_ratio, self.vae.spatial_compression_ratio)

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        grid = self.grid
        size = (height // grid.side, width // grid.side)
        return (self.transformer.config.in_channels, (num_frames - 1) // grid.time + 1, *size)

    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        """The scheduler shifts its levels by the number of tokens: exp(mu), mu linear between two counts."""
        scheduler, tokens = copied(self.scheduler), shape[1] * shape[2] * shape[3]
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
        given = {"rate": torch.full((batch,), rate, device=self.device)}
        if last is not None:
            raise UserError("LTX takes a first frame only: leave the last image out")
        if first is None:
            return given
        start = self.encode_frames(first[:, :, None])
        length = self.latent_shape(*shape)[1]
        is_known = torch.zeros(len(first), 1, length, 1, 1, dtype=torch.bool, device=start.device)
        is_known[:, :, 0] = True
        return {**given, "known": F.pad(start, (0, 0, 0, 0, 0, length - 1)), "is_known": is_known}

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
    ) -> Tensor:
        """noise - x0 at y [B, C, T, h, w], time [B] in 0..1000. rate: frames per second [B], all equal."""
        frames, height, width = y.shape[2:]
        if known is not None and is_known is not None:
            y = torch.where(is_known, known.to(y.dtype), y)
            given = is_known.flatten(1).repeat_interleave(height * width, dim=1)
            time = time[:, None].expand(given.shape).masked_fill(given, 0)
        grid, dtype = self.grid, net.dtype
        tokens = net(
            hidden_states=y.flatten(2).transpose(1, 2).to(dtype),
            encoder_hidden_states=text.to(dtype),
            timestep=time,
            encoder_attention_mask=words,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(grid.time / float(rate[0]), grid.side, grid.side),
            return_dict=False,
        )[0]
        return tokens.transpose(1, 2).reshape(y.shape)

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
