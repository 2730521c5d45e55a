"""Family `cogvideox`: CogVideoX 1.0 and 1.5, from text or from the first frame.

A variance-preserving diffusion model, of v with zero terminal SNR in every published checkpoint; latents are scaled by
one factor. The first frame lies beside the latents (I2V). The network's own layout is [B, T, C, h, w]. CogVideoX 1.5
reads latent frames in pairs: where their number is odd, one more is put in front, and cut off before decoding.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import DDPM
from vidcm.families.video import TRANSFORMERS, Condition, Grid, VideoFamily, copied, refuse_image

PREDICTS = {"v_prediction": "v", "epsilon": "eps"}
OFFSET = 2.0  # what the 1.5 I2V network is told beside the time


@dataclass
class CogVideoXFamily(VideoFamily):
    PIPELINES: ClassVar = ("CogVideoXPipeline", "CogVideoXImageToVideoPipeline")
    PARTS: ClassVar = {
        "vae": ("AutoencoderKLCogVideoX",),
        "transformer": ("CogVideoXTransformer3DModel",),
        "scheduler": ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"),
        **TRANSFORMERS,
    }
    CLIP: ClassVar = (49, 480, 720)
    RATE: ClassVar = 8
    GUIDANCE: ClassVar = 6.0

    def check(self) -> None:
        kind = self.scheduler.config.prediction_type
        if kind not in PREDICTS:
            raise UserError(f"scheduler: prediction_type {kind} is not known, only {', '.join(PREDICTS)}")
        try:
            self.parameterisation()
        except ValueError as error:
            raise UserError(f"scheduler: {error}") from error

    def parameterisation(self) -> DDPM:
        angles = self.scheduler.alphas_cumprod.double().clamp(0, 1).sqrt().acos()
        return DDPM(tuple(angles.tolist()), PREDICTS[self.scheduler.config.prediction_type])  # type: ignore[arg-type]

    @property
    def takes_image(self) -> bool:
        return self.transformer.config.in_channels > self.vae.config.latent_channels

    @property
    def stride(self) -> tuple[int, int]:
        """Frames and pixels to a latent."""
        vae = self.vae.config
        return int(vae.temporal_compression_ratio), 2 ** (len(vae.block_out_channels) - 1)

    @property
    def tokens(self) -> int:
        return 226

    @property
    def grid(self) -> Grid:
        """The VAE decodes latent frames in pairs after the first: an even number of them is of another length."""
        time, side = self.stride
        return Grid(2 * time, side * self.transformer.config.patch_size)

    @property
    def usual_clip(self) -> tuple[int, int, int]:
        config, side = self.transformer.config, self.stride[1]
        return (config.sample_frames, config.sample_height * side, config.sample_width * side)

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        time, side = self.stride
        length = (num_frames - 1) // time + 1
        return (self.vae.config.latent_channels, length + self._padding(length), height // side, width // side)

    def _padding(self, length: int) -> int:
        """Latent frames in front of `length` of them."""
        return -length % (self.transformer.config.patch_size_t or 1)

    def angles(self, steps: int, shape: tuple[int, ...]) -> tuple[float, ...]:
        scheduler, table = copied(self.scheduler), self.parameterisation().angles
        scheduler.set_timesteps(steps)
        return (*(table[int(k)] for k in scheduler.timesteps), 0.0)

    # What the network is told ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def images(
        self, first: Tensor | None, last: Tensor | None, shape: tuple[int, int, int], batch: int, rate: float
    ) -> Condition:
        self._check_learned(shape)
        if last is not None:
            raise UserError("CogVideoX takes a first frame only: leave the last image out")
        if not self.takes_image:
            refuse_image(first, last, "it makes clips from text alone (an I2V model takes one)")
            return {}
        if first is None:
            raise UserError("this CogVideoX model animates an image: give one, the first frame")
        start = self.posterior(first[:, :, None], None)
        factor = self.vae.config.scaling_factor
        start = start / factor if self.vae.config.invert_scale_latents else start * factor
        return {"given": F.pad(start, (0, 0, 0, 0, 0, self.latent_shape(*shape)[1] - 1))}

    def _check_learned(self, shape: tuple[int, int, int]) -> None:
        """Positions that were learned one by one exist for one size."""
        if self.transformer.config.use_learned_positional_embeddings and shape != self.usual_clip:
            frames, height, width = self.usual_clip
            raise UserError(
                f"this CogVideoX model makes {frames} frames of {width}x{height} and nothing else, "
                f"got {shape[0]} of {shape[2]}x{shape[1]}"
            )

    def given(self, clip: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return clip[:, :, 0] if self.takes_image else None, None

    # The circle -----------------------------------------------------------------------------------------------------

    def denoiser(self, condition: Condition, network: nn.Module | None = None) -> Denoiser:
        net = self.transformer if network is None else network
        return self.parameterisation().denoiser(partial(self._output, net), **condition)

    def _output(self, net: Any, x: Tensor, time: Tensor, *, text: Tensor, given: Tensor | None = None) -> Tensor:
        """v (or eps) at x [B, C, T, h, w], time [B] in 0..999."""
        dtype = net.dtype
        seen = x if given is None else torch.cat((x, given.to(x.dtype)), dim=1)
        output = net(
            hidden_states=seen.transpose(1, 2).to(dtype),
            encoder_hidden_states=text.to(dtype),
            timestep=time,
            ofs=None if net.config.ofs_embed_dim is None else x.new_full((1,), OFFSET, dtype=dtype),
            image_rotary_emb=self._rotary(net.config, x) if net.config.use_rotary_positional_embeddings else None,
            return_dict=False,
        )[0]
        return output.transpose(1, 2)

    def _rotary(self, config: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rotary positions of the tokens. 1.0 stretches its training size over the clip, 1.5 takes a part of it."""
        length, rows, columns = x.shape[2], x.shape[3] // config.patch_size, x.shape[4] // config.patch_size
        size = (config.sample_height // config.patch_size, config.sample_width // config.patch_size)
        options = {"embed_dim": config.attention_head_dim, "grid_size": (rows, columns), "device": x.device}
        if config.patch_size_t is not None:
            pairs = -(-length // config.patch_size_t)
            return get_3d_rotary_pos_embed(
                crops_coords=None, temporal_size=pairs, grid_type="slice", max_size=size, **options
            )
        return get_3d_rotary_pos_embed(crops_coords=centred((rows, columns), size), temporal_size=length, **options)

    # The VAE --------------------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x0 = self.posterior(frames, generator) * self.vae.config.scaling_factor
        return F.pad(x0, (0, 0, 0, 0, self._padding(x0.shape[2]), 0))

    @torch.no_grad()
    def decode(self, x0: Tensor, noise: Tensor | None = None) -> Tensor:
        # The grid makes frame counts whose latents are odd in number, so an even one has a frame in front.
        latents = x0[:, :, 1:] if x0.shape[2] % 2 == 0 else x0
        return self.pictures(latents / self.vae.config.scaling_factor)


def centred(grid: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last corner of the largest box of the grid's shape within `size`, in its middle."""
    (rows, columns), (height, width) = grid, size
    tall = rows / columns > height / width
    box = (height, round(height / rows * columns)) if tall else (round(width / columns * rows), width)
    top, left = (round((whole - part) / 2) for whole, part in zip(size, box, strict=True))
    return (top, left), (top + box[0], left + box[1])


FAMILY = CogVideoXFamily
