"""VideoGenerationPipeline: clips from a prompt, a first frame, or a first and a last one, in two network steps."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from torch import Tensor

from vidcm import families
from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.guidance import guided, guided_in_two
from vidcm.core.noise import keyed_noise
from vidcm.core.solvers import euler
from vidcm.families.stock import pipeline_of, read_index
from vidcm.families.video import Condition, VideoFamily
from vidcm.models.attention import attention_backend, check_backend
from vidcm.models.network import meet_diffusers
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines.inputs import as_frames, batched, clip_shape, placed, spread, two_scales
from vidcm.sampling.consistency import consistency as consistency_sampler
from vidcm.sampling.ode import ode

meet_diffusers()

SAMPLERS = ("consistency", "ode")
STEPS = {"consistency": 2, "ode": 50}
OUTPUT_TYPES = ("pt", "np", "pil", "latent")
Generators = torch.Generator | list[torch.Generator] | None
Draw = Callable[[int], Tensor]


@dataclass
class VideoGenerationOutput(BaseOutput):
    """frames: float32 [B, 3, T, H, W] in 0..1; numpy [B, T, H, W, 3] for "np"; B lists of T images for "pil"; the
    unscaled latents x0 [B, C, T, h, w] for "latent"."""

    frames: Tensor | np.ndarray | list


class VideoGenerationPipeline(DiffusionPipeline):
    """A video model (clip, Wan, LTX, CogVideoX), tuned for few steps or not. See `__call__`."""

    model_cpu_offload_seq = "text_encoder->image_encoder->transformer->transformer_2->teacher->vae"
    _optional_components: ClassVar = [
        *("scheduler", "text_encoder", "tokenizer", "transformer_2", "image_encoder", "image_processor"),
        *("teacher", "consistency"),
    ]
    _callback_tensor_inputs: ClassVar = ["latents"]

    def __init__(
        self,
        vae: Any,
        transformer: Any,
        scheduler: Any = None,
        text_encoder: Any = None,
        tokenizer: Any = None,
        transformer_2: Any = None,
        image_encoder: Any = None,
        image_processor: Any = None,
        teacher: Any = None,
        consistency: ConsistencyScheduler | None = None,
        family: str = "wan",
        index: dict[str, Any] | None = None,
        base: str = "",
    ):
        super().__init__()
        parts = {"vae": vae, "transformer": transformer, "scheduler": scheduler, "text_encoder": text_encoder}
        parts |= {"tokenizer": tokenizer, "transformer_2": transformer_2, "image_encoder": image_encoder}
        parts |= {"image_processor": image_processor, "teacher": teacher, "consistency": consistency}
        self.register_modules(**parts)
        self._attention: str | None = None
        self.register_to_config(family=family, index=index or {}, base=base)

    @classmethod
    def from_pretrained(cls, folder: str | Path, torch_dtype: torch.dtype | None = None) -> "VideoGenerationPipeline":
        """Load a model directory of this library or of diffusers. Only local folders and safetensors are read.

        torch_dtype: of the networks; float32 by default. Raises UserError for a folder that is incomplete, damaged or
        of a pipeline that no family reads.
        """
        kind = pipeline_of(read_index(folder))
        name = families.reading(kind)
        if name is None:
            known = ", ".join(families.pipelines())
            raise UserError(f"{folder} holds a {kind}, which no family here generates with; known: {known}")
        return cls.of(families.get(name).load(folder, torch_dtype or torch.float32), name)

    @classmethod
    def of(cls, family: VideoFamily, name: str) -> "VideoGenerationPipeline":
        parts = {part: getattr(family, part) for part in family.PARTS}
        return cls(**parts, consistency=family.consistency, family=name, index=family.index, base=family.base)

    def save_pretrained(self, folder: str | Path) -> None:  # type: ignore[override]
        """The layout that was read, which the stock pipeline of diffusers loads too; of an adapter, the adapter."""
        self.family.save(folder)

    @property
    def family(self) -> VideoFamily:
        kind = families.get(self.config.family)
        parts = {name: getattr(self, name) for name in kind.PARTS}
        told = {"index": dict(self.config.index), "base": self.config.base}
        return kind(**parts, consistency=self.consistency, device=torch.device(self._execution_device), **told)

    @property
    def is_tuned(self) -> bool:
        """Whether the weights are stored with where few-step sampling goes."""
        return self.consistency is not None

    def set_attention_backend(self, name: str | None) -> None:
        """xformers, sdpa or math, tried on the device at once; None: what the networks choose by themselves. Raises
        UserError for one that does not serve."""
        if name is not None:
            check_backend(name, torch.device(self._execution_device).type)
        self._attention = name

    def enable_vae_tiling(self) -> None:
        """Decode large frames tile by tile: less memory, more time."""
        self.vae.enable_tiling()

    def disable_vae_tiling(self) -> None:
        self.vae.disable_tiling()

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: Any = None,
        last_image: Any = None,
        *,
        frames: Mapping[int, Any] | None = None,
        negative_prompt: str | list[str] | None = None,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        frame_rate: float | None = None,
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        guidance_scale_2: float | None = None,
        temperature: float | None = None,
        seed: int | list[int] = 0,
        generator: Generators = None,
        latents: Tensor | None = None,
        output_type: str = "pt",
        callback_on_step_end: Callable[[Any, int, float, dict[str, Tensor]], dict[str, Tensor] | None] | None = None,
        return_dict: bool = True,
    ) -> VideoGenerationOutput | tuple:
        """One clip for each prompt, or for each image under one prompt.

        image, last_image: first and last frame, PIL or float [B, 3, H, W] in 0..1, of the clip's own size.
        frames: others of the clip by their place in it, 0 the first, for models that can be told of them (LTX from
        0.9.5 on, clip).
        num_frames, height, width: by default the model's usual ones, or the size of the image.
        frame_rate: what the model is told of it (LTX); by default its usual one.
        sampler: "consistency" in `num_inference_steps` evaluations (2), or "ode", the diffusion model (50), which is
        the teacher where the weights come with one; by default what the weights are: tuned or not.
        guidance_scale: 1 is none and the default of consistency sampling, whose weights hold it already;
        guidance_scale_2: of the second network of Wan 2.2 A14B, by default the same.
        temperature: scale of the noise of consistency sampling; None takes the one stored with the weights.
        seed: of the whole call, its clips counted; or one for each clip, which is then what it would be alone.
        generator (one, or one a clip) replaces it, and `latents` replaces the first noise, [B, C, T, h, w].
        callback_on_step_end(pipe, step, angle, {"latents": x0}) may return replaced latents.
        Raises UserError for what the model cannot make.
        """
        family = self.family
        sampler, steps = self.plan(sampler, num_inference_steps)
        if output_type not in OUTPUT_TYPES:
            raise UserError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}")
        images = {"image": image, "last_image": last_image}
        images |= {f"frame {place}": each for place, each in (frames or {}).items()}
        given = {name: as_frames(each, family.device) for name, each in images.items() if each is not None}
        shape = clip_shape(family, given, num_frames, height, width)
        prompts, negative, batch = batched(prompt, negative_prompt, given)
        scales = two_scales(family, guidance_scale, guidance_scale_2, family.GUIDANCE if sampler == "ode" else 1.0)

        rate = frame_rate or family.RATE
        known = {place: spread(frame, batch) for place, frame in placed(given, shape[0]).items()}
        given = family.told_frames(known, shape, batch, rate)
        text, without = family.text(prompts, negative)
        size = family.latent_shape(*shape)
        draw = self._noise((batch, *size), seed, generator, latents)
        network = self.teacher if sampler == "ode" else None
        denoise = self._denoiser(family, {**text, **given}, {**without, **given}, scales, network)
        with nullcontext() if self._attention is None else attention_backend(self._attention):
            x0 = self._sample(denoise, sampler, steps, size, temperature, draw, callback_on_step_end)
        if output_type == "latent":
            frames = x0
        else:
            frames = shown(family.given_back(self._frames(family, x0, draw(steps + 1)), known), output_type)
        self.maybe_free_model_hooks()
        return VideoGenerationOutput(frames) if return_dict else (frames,)

    # The parts of a call --------------------------------------------------------------------------------------------

    def plan(self, sampler: str | None = None, steps: int | None = None) -> tuple[str, int]:
        """The sampler and the number of steps that a call takes; None: what the weights are made for."""
        if sampler not in (None, *SAMPLERS):
            raise UserError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
        if sampler == "ode" and self.is_tuned and self.teacher is None:
            raise UserError(
                "sampler ode follows a diffusion model, and these weights are a consistency model: "
                "load the model that they were tuned from"
            )
        chosen = sampler or ("consistency" if self.is_tuned else "ode")
        count = STEPS[chosen] if steps is None else steps
        if not 1 <= count <= 1000:
            raise UserError(f"num_inference_steps must be 1 to 1000, got {count}")
        return chosen, count

    def _noise(self, shape: tuple[int, ...], seed: int | list[int], generator: Generators, latents: Any) -> Draw:
        """draw(i): the i-th noise of the call, [B, C, T, h, w] float32."""
        device = torch.device(self._execution_device)
        each = generator if isinstance(generator, list) else [generator]
        seeds = seed if isinstance(seed, list) else [seed]
        for name, given in (("generator", each), ("seed", seeds)):
            if len(given) not in (1, shape[0]):
                raise UserError(f"{name} must be one, or one for each of the {shape[0]} clips, got {len(given)}")
        if latents is not None and tuple(latents.shape) != shape:
            raise UserError(f"latents must be {list(shape)} for this clip, got {list(latents.shape)}")
        keys = [(seeds[0], i) for i in range(shape[0])] if len(seeds) == 1 else [(each_seed, 0) for each_seed in seeds]

        def draw(index: int) -> Tensor:
            if index == 0 and latents is not None:
                return latents.to(device, torch.float32)
            if generator is None:
                made = [keyed_noise(shape[1:], seed=key, shot=0, position=place, draw=index) for key, place in keys]
                return torch.stack(made).to(device)
            size = shape if len(each) == 1 else (1, *shape[1:])
            return torch.cat([torch.randn(size, generator=g, device=g.device).to(device) for g in each])

        return draw

    @staticmethod
    def _denoiser(
        family: VideoFamily, condition: Condition, without: Condition, scales: tuple[float, float], network: Any
    ) -> Denoiser:
        conditional = family.denoiser(condition, network)
        if scales == (1, 1):
            return conditional
        unconditional = family.denoiser(without, network)
        if family.boundary is None:
            return guided(conditional, unconditional, scales[0])
        return guided_in_two(conditional, unconditional, scales, family.boundary)

    def _sample(
        self,
        denoise: Denoiser,
        sampler: str,
        steps: int,
        size: tuple[int, ...],
        temperature: float | None,
        draw: Draw,
        callback: Callable | None,
    ) -> Tensor:
        """x0 of every clip. A denoiser is asked once in a step, by both samplers."""
        scheduler = self.consistency or ConsistencyScheduler()
        angles = scheduler.angles(steps) if sampler == "consistency" else self.family.angles(steps, size)
        done = 0
        with self.progress_bar(total=steps) as bar:

            def step(x: Tensor, angle: Tensor) -> Tensor:
                nonlocal done
                x0 = denoise(x, angle).float()
                if callback is not None:
                    x0 = (callback(self, done, angles[done], {"latents": x0}) or {}).get("latents", x0)
                done += 1
                bar.update()
                return x0

            if sampler == "ode":
                return ode(step, draw(0), angles, solver=euler)
            heat = scheduler.config.temperature if temperature is None else temperature
            return consistency_sampler(step, draw(0), angles=angles, renoise=draw, temperature=heat)

    @staticmethod
    def _frames(family: VideoFamily, x0: Tensor, noise: Tensor) -> Tensor:
        """Decoded clip by clip: memory does not grow with the batch."""
        return torch.cat([family.decode(*pair) for pair in zip(x0.split(1), noise.split(1), strict=True)])


def shown(frames: Tensor, output_type: str) -> Any:
    """Frames [B, 3, T, H, W] as they are asked for."""
    if output_type == "pt":
        return frames
    made = frames.permute(0, 2, 3, 4, 1).cpu().numpy()
    return made if output_type == "np" else [DiffusionPipeline.numpy_to_pil(clip) for clip in made]
