"""FrameInterpolationPipeline: frames between two frames, in two network steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from vidcm.core.around import ALONE, Around
from vidcm.families.motion_look import Looks
from vidcm.models.motion_vae import MotionVAE
from vidcm.models.network import meet_diffusers
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.video_dit import VideoDiT
from vidcm.pipelines.inbetweening import Callback, Inbetweener
from vidcm.pipelines.noise import Generators
from vidcm.pipelines.rendering import together

meet_diffusers()


@dataclass
class FrameInterpolationOutput(BaseOutput):
    """frames: [B, 3, K, H, W] float32 in 0..1 (or numpy [B, K, H, W, 3] for output_type "np").

    confidence: [B, 1, K, H, W] in 0..1, low where the two ends, brought to the instant, disagree and neither wins."""

    frames: Tensor | np.ndarray
    confidence: Tensor | np.ndarray


class FrameInterpolationPipeline(Inbetweener, DiffusionPipeline):
    """Any instants between two frames of any size. See `__call__`."""

    _optional_components: ClassVar = ["teacher"]
    _callback_tensor_inputs: ClassVar = ["latents"]

    def __init__(
        self,
        vae: MotionVAE,
        transformer: VideoDiT,
        scheduler: ConsistencyScheduler,
        teacher: VideoDiT | None = None,
    ):
        super().__init__(vae, transformer, scheduler, teacher)
        self.register_modules(vae=vae, transformer=transformer, scheduler=scheduler, teacher=teacher)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path | None = None, torch_dtype: torch.dtype | None = None
    ) -> "FrameInterpolationPipeline":
        """Load a model directory; without one, the model that vidcm ships. Only local folders and safetensors are read.

        torch_dtype: of the networks; float32 by default. Raises UserError for a folder that is incomplete or damaged.
        """
        pipe = cls.load(folder)
        for network in pipe.family.modules() if torch_dtype else ():
            nn.Module.to(network, torch_dtype)  # diffusers' own warns of nothing
        return pipe

    @torch.no_grad()
    def __call__(
        self,
        first: Tensor | None,
        last: Tensor | None,
        tau: Tensor | Sequence[float],
        *,
        around: Around = ALONE,
        looks: Looks | None = None,
        num_inference_steps: int = 2,
        temperature: float | None = None,
        seed: int = 0,
        shot: int = 0,
        position: int | Sequence[int] = 0,
        generator: Generators = None,
        output_type: str = "pt",
        callback_on_step_end: Callback | None = None,
        return_dict: bool = True,
    ) -> FrameInterpolationOutput | tuple:
        """The frames at the instants tau between `first` (tau 0) and `last` (tau 1).

        first, last: float32 [B, 3, H, W] in 0..1, any size; one may be None (an absent end): the other goes on as it
        moved from or to the frame around it, without the network; where there is none, the network makes motion up.
        Planes beyond RGB, such as alpha, are moved as the picture is.
        tau: K instants strictly inside (0, 1), shared by the batch, or [B, K].
        around: the frames before the first and after the last, where there are any, [B, 3, H, W]: they tell how motion
        is changing; its times are shared by the batch. looks: what `family.look` made of (first, last, before, after),
        from a caller who keeps it, instead of the frames in `around`.
        num_inference_steps: network evaluations; 2 is the product, 1 has no noise, 0 is the draft without a network.
        temperature: scale of the noise; None takes the one stored with the weights, 0 leaves none.
        seed, shot, position: key of the noise (position: index of the pair, one a batch entry or counted from one
        number), so that a frame does not depend on the batch it is made in; `generator` replaces it.
        callback_on_step_end(pipe, step, angle, {"latents": x0}) may return replaced latents: the network's answer at a
        step, before trust and spread.
        Raises ValueError for sizes that differ, values not in 0..1, no end at all, or tau outside (0, 1).
        """
        if output_type not in ("pt", "np"):
            raise ValueError(f"output_type must be 'pt' or 'np', got {output_type!r}")
        made = self.one_by_one(
            first,
            last,
            tau,
            around=around,
            looks=looks,
            num_inference_steps=num_inference_steps,
            temperature=temperature,
            seed=seed,
            shot=shot,
            position=position,
            generator=generator,
            callback_on_step_end=callback_on_step_end,
        )
        frames, confidence = together(made, first, last, tau)
        if output_type == "np":
            frames, confidence = (x.permute(0, 2, 3, 4, 1).cpu().numpy() for x in (frames, confidence))
        return FrameInterpolationOutput(frames, confidence) if return_dict else (frames, confidence)
