"""The frames between two frames, from a model of the family `motion`: the work of FrameInterpolationPipeline.

No part of diffusers, which the command line need not wait for then (docs/decisions/0037-begun-at-once.md).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from vidcm.core.around import ALONE, Around
from vidcm.core.shipped import shipped
from vidcm.families.motion import MotionFamily
from vidcm.families.motion_look import Looks
from vidcm.models.attention import preferring
from vidcm.models.motion_context import Draft, Ends
from vidcm.models.motion_vae import MotionVAE, rows
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.synthesis import STRIP
from vidcm.models.video_dit import VideoDiT
from vidcm.pipelines.ends import checked
from vidcm.pipelines.noise import Draw, Generators, generated, keyed, sides
from vidcm.pipelines.rendering import go_on, render
from vidcm.pipelines.rungs import Rungs
from vidcm.sampling.anchored import anchored

Callback = Callable[[Any, int, float, dict[str, Tensor]], dict[str, Tensor] | None]


class Inbetweener(Rungs):
    """Any instants between two frames of any size: see `one_by_one`."""

    def __init__(
        self,
        vae: MotionVAE,
        transformer: VideoDiT,
        scheduler: ConsistencyScheduler,
        teacher: VideoDiT | None = None,
    ):
        self.vae = vae.to(memory_format=torch.channels_last)  # what convolutions are fastest with
        self.transformer, self.scheduler, self.teacher = transformer, scheduler, teacher

    @classmethod
    def load(cls, folder: str | Path | None = None, device: torch.device | str = "cpu") -> Self:
        """From a model directory; without one, the model that vidcm ships. Raises UserError for a folder that is
        incomplete or damaged."""
        family = MotionFamily.load(folder if folder is not None else shipped("motion")).to(device)
        return cls(family.vae, family.dit, family.scheduler, family.teacher)

    @property
    def family(self) -> MotionFamily:
        return MotionFamily(self.vae, self.transformer, self.scheduler, self.teacher)

    @property
    def device(self) -> torch.device:
        """Of all networks. Asked for several times a frame: diffusers' own looks through every module each time."""
        return self.vae.latent_mean.device

    @torch.inference_mode()
    def one_by_one(
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
        callback_on_step_end: Callback | None = None,
        strip: int = STRIP,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """What a call of the pipeline gives, frame by frame, so that one is in memory at full size: [3, H, W] and its
        confidence [1, H, W], the K of the first pair, then those of the next. Motion is found for all of them at once.

        strip: pixels that are made at once, which changes memory and nothing else. The rest: see
        `FrameInterpolationPipeline.__call__`, but that frames are inference tensors: clone what is to be learned from,
        or changed in place."""
        ends_given, tau = checked(first, last, tau, num_inference_steps, around)
        noise = keyed(tau, seed, shot, position) if generator is None else generated(generator, self.device)
        looked = self.look(first, last, around, looks)
        going_on = self.family.continuation(*looked, tau=tau)
        if going_on is not None:
            made = go_on(*going_on, ends_given[0], strip)
        else:
            with self.network():
                pair, seen = self.family.pair(*looked, tau=tau), self.family.seen(*looked[:2])
                ends, draft = self.family.observe(pair, seen=seen)
                z, draft = self.latents(num_inference_steps, temperature, noise, ends, draft, callback_on_step_end)
                motion, present = self.vae.decode(z, ends, draft), draft.present
            del looked, looks, pair, seen, ends, draft, z
            made = render(self.vae.synthesis, self.precision, motion, present, *ends_given, strip)
        for frame, doubt in made:
            yield frame, doubt.neg_().add_(1)
            del frame, doubt  # before the next one is made

    # The parts of a call --------------------------------------------------------------------------------------------

    def look(self, first: Tensor | None, last: Tensor | None, around: Around, looks: Looks | None = None) -> tuple:
        """(first, last, beyond, steps), as `family.pair` takes them."""
        frames = (first, last, around.before, around.after)
        looks = looks or tuple(None if frame is None else self.family.look(frame[:, :3]) for frame in frames)
        return *looks[:2], looks[2:], (float(around.lead), float(around.trail))

    def precision(self) -> AbstractContextManager:
        """Half precision weights compute in theirs; float32 ones in bf16 where the hardware has it, else in float32."""
        device, dtype = self.device.type, self.vae.latent_mean.dtype
        if dtype != torch.float32:
            return torch.autocast(device, dtype)
        native = device == "cuda" or (device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported())
        return torch.autocast(device, torch.bfloat16) if native else nullcontext()

    def network(self) -> AbstractContextManager:
        """`precision`, and on a CPU the attention that is fastest there."""
        both = ExitStack()
        both.enter_context(self.precision())
        if self.device.type == "cpu":
            both.enter_context(preferring("rows"))
        return both

    def latents(
        self,
        steps: int,
        temperature: float | None,
        draw: Draw,
        ends: Ends,
        draft: Draft,
        callback: Callback | None = None,
    ) -> tuple[Tensor, Draft]:
        """z of every in-between frame [B*K, C, h, w], by `steps` consistency steps, and the draft that it corrects,
        which believes what the frames around tell; zero and the draft as it is for none."""
        shape = self.latent_shape(draft, ends)
        if steps == 0:
            return rows(draft.doubt.new_zeros(shape)), draft
        f = self.family.denoiser(self.family.condition(ends, draft))
        angles = self.scheduler.angles(steps)
        done = 0

        def step(x: Tensor, angle: Tensor) -> Tensor:
            nonlocal done
            x0 = f(x, angle).float()
            if callback is not None:
                x0 = (callback(self, done, angles[done], {"latents": x0}) or {}).get("latents", x0)
            done += 1
            return x0

        heat = self.scheduler.config.temperature if temperature is None else temperature
        noise = sides(self.scheduler.config.sides * heat, draw, shape) if steps > 1 else None
        believing, code = self.family.believing(draft, noise)
        anchor: dict[str, Any] = {**self.scheduler.anchor, "better": lambda x0: self.family.believed(x0, code, draft)}
        like = draft.doubt.new_empty(shape)
        x0 = anchored(step, like, angles=angles, renoise=lambda i: draw(i, shape), temperature=heat, **anchor)
        return self.vae.unscale(rows(x0)), believing

    def latent_shape(self, draft: Draft, ends: Ends) -> tuple[int, ...]:
        batch = len(ends.present)
        return (batch, self.vae.config.latent_channels, len(draft.tau) // batch, *draft.doubt.shape[-2:])
