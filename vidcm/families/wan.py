"""Family `wan`: Wan 2.1 and 2.2, from text, from the first frame, or from the first and the last.

A rectified flow; latents are scaled by the mean and deviation of each channel. Given frames reach the network in one of
two ways: beside the latents, with a mask of what is given (I2V), or in their place, at time zero (2.2 TI2V). Wan 2.2
A14B has two networks, of which the noise level chooses one.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import RectifiedFlow
from vidcm.families.adapter import one_or_list
from vidcm.families.flow import angles_of, check_flow
from vidcm.families.text import clean
from vidcm.families.video import TRANSFORMERS, Condition, Grid, VideoFamily, copied, refuse_image, with_known


@dataclass
class WanFamily(VideoFamily):
    PIPELINES: ClassVar = ("WanPipeline", "WanImageToVideoPipeline")
    PARTS: ClassVar = {
        "vae": ("AutoencoderKLWan",),
        "transformer": ("WanTransformer3DModel",),
        "transformer_2": ("WanTransformer3DModel",),
        "scheduler": ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler"),
        "image_encoder": ("CLIPVisionModel", "CLIPVisionModelWithProjection"),
        "image_processor": ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"),
        **TRANSFORMERS,
    }
    OPTIONAL: ClassVar = frozenset(("transformer_2", "image_encoder", "image_processor"))
    PRECISE: ClassVar = frozenset(("vae", "image_encoder"))
    CLIP: ClassVar = (81, 480, 832)
    RATE: ClassVar = 16
    GUIDANCE: ClassVar = 5.0

    def check(self) -> None:
        check_flow(self.scheduler)
        if self.transformer.config.image_dim is not None and None in (self.image_encoder, self.image_processor):
            raise UserError("this Wan model sees images by an image encoder, which its directory lacks: copy all of it")
        if self.transformer_2 is not None and self.boundary is None:
            raise UserError("this Wan model has two networks and no boundary_ratio between them: take another copy")

    @property
    def boundary(self) -> float | None:
        return self.index.get("boundary_ratio")

    @property
    def replaces(self) -> bool:
        """Whether given frames take the place of latents, at time zero."""
        return bool(self.index.get("expand_timesteps"))

    @property
    def takes_beside(self) -> bool:
        """Whether given frames lie beside the latents."""
        return self.transformer.config.in_channels > self.vae.config.z_dim

    @property
    def takes_last(self) -> bool:
        """Whether a last frame may be given: Wan 2.1 has a model of its own for that."""
        config = self.transformer.config
        return self.takes_beside and (config.image_dim is None or config.pos_embed_seq_len is not None)

    @property
    def tokens(self) -> int:
        return 512

    @property
    def attends(self) -> bool:
        return True

    @property
    def grid(self) -> Grid:
        vae, patch = self.vae.config, self.transformer.config.patch_size
        return Grid(vae.scale_factor_temporal, vae.scale_factor_spatial * patch[-1])

    @property
    def usual_clip(self) -> tuple[int, int, int]:
        return (121, 704, 1280) if self.replaces else self.CLIP

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        vae = self.vae.config
        spatial = (height // vae.scale_factor_spatial, width // vae.scale_factor_spatial)
        return (vae.z_dim, (num_frames - 1) // vae.scale_factor_temporal + 1, *spatial)

    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        scheduler = copied(self.scheduler)
        scheduler.set_timesteps(steps)
        return angles_of(scheduler)

    # What the network is told ---------------------------------------------------------------------------------------

    def prepared(self, prompts: list[str]) -> list[str]:
        return [clean(prompt) for prompt in prompts]

    @torch.no_grad()
    def images(
        self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        if self.replaces:
            return self._in_place(first, last, shape)
        if not self.takes_beside:
            refuse_image(first, last, "it makes clips from text alone (an I2V model takes one)")
            return {}
        if first is None:
            raise UserError("this Wan model animates an image: give one, the first frame")
        if last is None and self.transformer.config.pos_embed_seq_len is not None:
            raise UserError("this Wan model goes from a first to a last frame: give both images")
        if last is not None and not self.takes_last:
            raise UserError("this Wan model takes a first frame only: leave the last image out, or take an FLF2V model")
        given = {"given": self._beside(first, last, shape[0])}
        if self.transformer.config.image_dim is not None:
            given["image"] = self._seen([first] if last is None else [first, last])
        return given

    def _in_place(self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int]) -> Condition:
        if last is not None:
            raise UserError("this Wan model takes a first frame only: leave the last image out")
        if first is None:
            return {}
        start = self.encode_frames(first[:, :, None])
        length = self.latent_shape(*shape)[1]
        known = F.pad(start, (0, 0, 0, 0, 0, length - 1))
        is_known = torch.zeros(len(first), 1, length, 1, 1, dtype=torch.bool, device=start.device)
        is_known[:, :, 0] = True
        return {"known": known, "is_known": is_known}

    def _beside(self, first: Tensor, last: Tensor | None, num_frames: int) -> Tensor:
        """Latents of a clip that is grey where nothing is given, behind a mask of what is: one channel for each of the
        frames that a latent frame stands for."""
        clip = first.new_full((*first.shape[:2], num_frames, *first.shape[2:]), 0.5)
        mask = torch.zeros(num_frames, device=self.device)
        clip[:, :, 0], mask[0] = first, 1
        if last is not None:
            clip[:, :, -1], mask[-1] = last, 1
        latents = self.encode_frames(clip)
        stride = self.vae.config.scale_factor_temporal
        mask = torch.cat((mask[:1].expand(stride), mask[1:])).view(-1, stride).T  # the first latent is one frame alone
        mask = mask[None, :, :, None, None].expand(len(first), -1, -1, *latents.shape[-2:])
        return torch.cat((mask, latents), dim=1)

    def _seen(self, frames: list[Tensor]) -> Tensor:
        """What the image encoder says of given frames, [B, N * tokens, D]."""
        pictures = [(255 * x).round().byte().cpu().numpy() for x in torch.stack(frames, dim=1).flatten(0, 1)]
        pixels = self.image_processor(images=pictures, return_tensors="pt", input_data_format="channels_first")
        pixels = pixels.pixel_values.to(self.device, self.image_encoder.dtype)
        states = self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
        return states.reshape(len(frames[0]), -1, states.shape[-1])

    # The circle -----------------------------------------------------------------------------------------------------

    def given(self, clip: Tensor) -> tuple[Tensor | None, Tensor | None]:
        if not self.takes_beside:
            return None, None
        between = self.transformer.config.pos_embed_seq_len is not None
        return clip[:, :, 0], clip[:, :, -1] if between else None

    def denoiser(self, condition: Condition, network: nn.Module | None = None) -> Denoiser:
        net = one_or_list(self.networks) if network is None else network
        denoise = RectifiedFlow(time_scale=1000.0).denoiser(partial(self._velocity, net), **condition)
        return with_known(denoise, condition["known"], condition["is_known"]) if "known" in condition else denoise

    def _velocity(self, net: Any, y: Tensor, time: Tensor, **condition: Tensor) -> Tensor:
        """noise - x0 at y [B, C, T, h, w], time [B] in 0..1000; of two networks each answers for its own samples."""
        if not isinstance(net, nn.ModuleList):
            return self._answer(net, y, time, **condition)
        is_high = time >= 1000 * self.boundary
        if is_high.all() or not is_high.any():
            return self._answer(net[0] if is_high.all() else net[1], y, time, **condition)
        velocity = torch.empty_like(y)
        for each, mine in zip(net, (is_high, ~is_high), strict=True):
            part = {name: value[mine] for name, value in condition.items()}
            velocity[mine] = self._answer(each, y[mine], time[mine], **part).to(y.dtype)
        return velocity

    def _answer(
        self,
        net: Any,
        y: Tensor,
        time: Tensor,
        *,
        text: Tensor,
        given: Tensor | None = None,
        image: Tensor | None = None,
        known: Tensor | None = None,
        is_known: Tensor | None = None,
    ) -> Tensor:
        dtype = net.dtype
        if self.replaces:
            time = time[:, None].expand(-1, y[0, 0].numel() // net.config.patch_size[-1] ** 2)
        if known is not None and is_known is not None:
            y = torch.where(is_known, known.to(y.dtype), y)
            frames = is_known.flatten(1)
            time = time.masked_fill(frames.repeat_interleave(time.shape[1] // frames.shape[1], dim=1), 0)
        if given is not None:
            y = torch.cat((y, given.to(y.dtype)), dim=1)
        if image is not None:
            halves = 1 if net.config.pos_embed_seq_len is None else 2  # it joins first and last image by itself
            image = image.reshape(halves * len(image), -1, image.shape[-1]).to(dtype)
        return net(
            hidden_states=y.to(dtype),
            timestep=time,
            encoder_hidden_states=text.to(dtype),
            encoder_hidden_states_image=image,
            return_dict=False,
        )[0]

    # The VAE --------------------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        mean, std = self._scale(self.device)
        return (self.posterior(frames, generator) - mean) / std

    @torch.no_grad()
    def decode(self, x0: Tensor, noise: Tensor | None = None) -> Tensor:
        mean, std = self._scale(x0.device)
        return self.pictures(x0 * std + mean)

    def _scale(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the VAE's channels, [1, C, 1, 1, 1]."""
        values = (self.vae.config.latents_mean, self.vae.config.latents_std)
        return tuple(torch.tensor(each, device=device).view(1, -1, 1, 1, 1) for each in values)  # type: ignore


FAMILY = WanFamily
