"""What makes a clip of a job: a video model, or, from one image or between two, the shipped motion model."""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidcm.core.shipped import shipped
from vidcm.families.laid import read_adapter
from vidcm.families.stock import hush, pipeline_of, read_index
from vidcm.families.text import PromptCut
from vidcm.generation.fitting import check_networks
from vidcm.generation.jobs import Job
from vidcm.generation.pictures import fit, read_image
from vidcm.generation.shipped import MODELS, SPAN, check_frames, check_shipped, chosen, named
from vidcm.models.attention import attention_backend, check_backend
from vidcm.pipelines.inbetweening import Inbetweener
from vidcm.pipelines.interpolator import as_interpolator

MOTION = "FrameInterpolationPipeline"
FROM_NOTHING = "made from nothing but noise: a test bed for the model; an image (--image) gives it a scene"
FROM_ONE = (
    "the shipped clip model is small: what moves dissolves after a quarter of a second, what stands still stays; "
    "--model motion has the next few frames at full size"
)
BETWEEN_RATE = 24  # frames per second of what the motion model makes


@dataclass
class Made:
    """frames_THWC: RGB float32 in 0..1. settings: what was made, all values. notes: what was done to the input."""

    frames_THWC: np.ndarray
    rate: Fraction
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)


Maker = Callable[[Job], Made]


def load_maker(
    model: Path | None,
    device: torch.device,
    *,
    low_memory: bool = False,
    attention: str | None = None,
    quiet: bool = True,
    hushed: bool = False,
) -> Maker:
    """The model, loaded once. attention: the backend of every network, tried before anything is loaded; quiet: without
    bars; hushed: libraries of others say nothing, see `stock.hush`.

    Raises UserError for what cannot be loaded, or does not serve here."""
    how = {"low_memory": low_memory, "quiet": quiet, "hushed": hushed}
    if attention is None:
        return _load(model, device, **how)
    check_backend(attention, device.type)
    maker = _load(model, device, **how)

    def make(job: Job) -> Made:
        with attention_backend(attention):
            return maker(job)

    return make


def _load(model: Path | None, device: torch.device, **how: bool) -> Maker:
    """The model, loaded once. model: a folder or the name of a shipped model; None: the shipped one that fits the job.

    Raises UserError for what cannot be loaded."""
    if model is None:
        return ShippedMaker(lambda name: _load(Path(name), device, **how))
    name = named(model)
    where = model if name is None else shipped(name)
    if pipeline_of(read_index(where)) == MOTION:
        return BetweenMaker(Inbetweener.load(where, device))
    return ClipMaker(_video_pipeline(where, device, **how), None if name is None else FROM_ONE)


def _video_pipeline(where: Path, device: torch.device, *, low_memory: bool, quiet: bool, hushed: bool) -> Any:
    if hushed:
        hush()
    from vidcm.pipelines import VideoGenerationPipeline

    pipe = VideoGenerationPipeline.from_pretrained(where, torch.bfloat16 if device.type == "cuda" else torch.float32)
    pipe.set_progress_bar_config(disable=quiet)
    if low_memory:
        pipe.enable_vae_tiling()
    if low_memory and device.type != "cpu":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.to(device)
    return pipe


def identity(model: Path | None) -> str:
    """What tells one model from another: its index, and each of its weights by name, size and age; of shipped ones,
    which every installation dates anew, by content."""
    if model is None:
        return json.dumps([identity(Path(name)) for name in MODELS])
    name = named(model)
    if name is not None:
        files = sorted(shipped(name).rglob("*.safetensors"))
        return json.dumps([name, [hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files]])
    laid = read_adapter(model)
    folders = [model] if laid is None else [model, laid.base]
    files = [(place, file) for place in folders for file in sorted(place.rglob("*.safetensors"))]
    stats = [
        (file.relative_to(place).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for place, file in files
    ]
    return json.dumps([read_index(model), stats], sort_keys=True)


@dataclass
class ShippedMaker:
    """The shipped model that fits the job; each is loaded when the first job asks for it."""

    load: Callable[[str], Maker]
    makers: dict[str, Maker] = field(default_factory=dict)

    def __call__(self, job: Job) -> Made:
        check_shipped(job)
        name = chosen(job)
        maker = self.makers[name] = self.makers.get(name) or self.load(name)
        made = maker(job)
        made.settings["model"] = name
        return made


@dataclass
class ClipMaker:
    """Clips by a VideoGenerationPipeline. from_one: what to expect of a single given frame, where it is known."""

    pipe: Any
    from_one: str | None = None

    def __call__(self, job: Job) -> Made:
        family = self.pipe.family
        images = {key: read_image(path) for key, path in job.images().items()}
        height, width = job.pixels or self._size(family, images)
        frames, rate = job.num_frames or family.usual_clip[0], job.fps or Fraction(family.RATE)
        check_networks(job, family.boundary is not None)
        family.grid.check(frames, height, width)  # before images are cut for a clip that cannot be
        fitted = {key: fit(image, height, width, job.fit) for key, image in images.items()}
        sampler, steps = self.pipe.plan(job.sampler, job.steps)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PromptCut)
            made = self.pipe(
                job.prompt,
                negative_prompt=job.negative_prompt,
                num_frames=frames,
                height=height,
                width=width,
                frame_rate=float(rate),
                num_inference_steps=steps,
                sampler=sampler,
                guidance_scale=job.guidance,
                guidance_scale_2=job.guidance_2,
                temperature=job.temperature,
                seed=job.seed,
                output_type="np",
                **{key: as_tensor(one.pixels) for key, one in fitted.items()},
            )
        settings = {"num_frames": frames, "size": f"{width}x{height}", "fps": str(rate), "sampler": sampler}
        settings |= {"steps": steps, "seed": job.seed}
        notes = [f"{job.images()[key]}: {one.note}" for key, one in fitted.items() if one.note]
        notes += [str(told.message) for told in caught if issubclass(told.category, PromptCut)]
        if job.prompt is None and not images:
            notes.append(FROM_NOTHING)
        if self.from_one is not None and len(images) == 1:
            notes.append(self.from_one)
        if job.sampler is None and not self.pipe.is_tuned:
            notes.append(f"these weights were not tuned for few steps: their diffusion model was followed in {steps}")
        return Made(made.frames[0], rate, settings, notes)

    @staticmethod
    def _size(family: Any, images: dict[str, np.ndarray]) -> tuple[int, int]:
        """The model's usual size; with an image, as many pixels of the image's aspect."""
        _, height, width = family.usual_clip
        for image in images.values():
            rows, columns = image.shape[:2]
            scale = (height * width / (rows * columns)) ** 0.5
            return family.grid.nearest(rows * scale), family.grid.nearest(columns * scale)
        return height, width


@dataclass
class BetweenMaker:
    """What lies between two images, or follows one, by the interpolation model; those given are frames of the clip."""

    model: Inbetweener

    def __call__(self, job: Job) -> Made:
        check_shipped(job, "motion")
        images = {key: read_image(path) for key, path in job.images().items()}
        height, width = job.pixels or images["image"].shape[:2]
        fitted = [fit(image, height, width, job.fit) for image in images.values()]
        frames, rate, steps = check_frames(job), job.fps or Fraction(BETWEEN_RATE), job.steps or 2
        first, *last = (as_tensor(one.pixels)[0] for one in fitted)
        whole = frames - 1 if len(fitted) == 2 else SPAN
        instants = [i / whole for i in range(1, frames - len(fitted) + 1)]
        between = as_interpolator(self.model, steps=steps, temperature=job.temperature, seed=job.seed)
        made = between(first, last[0] if last else None, instants).permute(1, 2, 3, 0).numpy()
        settings = {"num_frames": frames, "size": f"{width}x{height}", "fps": str(rate), "steps": steps}
        notes = [f"{path}: {one.note}" for path, one in zip(job.images().values(), fitted, strict=True) if one.note]
        given = [one.pixels[None].astype(np.float32) / 255 for one in fitted]
        clip = np.concatenate((given[0], made, *given[1:]))
        return Made(clip, rate, {**settings, "seed": job.seed}, notes)


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """[1, 3, H, W] float32 in 0..1 of uint8 [H, W, 3]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
