"""FrameInterpolationPipeline: frames between two frames, in two network steps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from torch import Tensor

from vidcm.core.around import ALONE, Around
from vidcm.core.noise import keyed_noise
from vidcm.core.shipped import shipped
from vidcm.families.motion import MotionFamily
from vidcm.families.motion_look import Looks
from vidcm.models.attention import preferring
from vidcm.models.motion_context import Draft, Ends
from vidcm.models.motion_decoder import Motion
from vidcm.models.motion_vae import MotionVAE, rows
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.synthesis import STRIP, warp_in_strips
from vidcm.models.video_dit import VideoDiT
from vidcm.pipelines.rungs import Rungs
from vidcm.sampling.anchored import anchored

NEAREST = 2.0**-20  # of tau to an end
RANGE_SLACK = 0.5  # super-whites and filters overshoot 0..1 by less; 8-bit values by far more
Generators = torch.Generator | list[torch.Generator] | None


class Draw(Protocol):
    def __call__(self, index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
        """The index-th unit noise of a call, of this shape [B, C, K, h, w]; of_pair: K is 1, and the noise does not
        depend on the instants."""
        ...


@dataclass
class FrameInterpolationOutput(BaseOutput):
    """frames: [B, 3, K, H, W] float32 in 0..1 (or numpy [B, K, H, W, 3] for output_type "np").

    confidence: [B, 1, K, H, W] in 0..1, low where the two ends, brought to the instant, disagree and neither wins."""

    frames: Tensor | np.ndarray
    confidence: Tensor | np.ndarray


class FrameInterpolationPipeline(Rungs, DiffusionPipeline):
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
        super().__init__()
        vae.to(memory_format=torch.channels_last)  # what convolutions are fastest with
        self.register_modules(vae=vae, transformer=transformer, scheduler=scheduler, teacher=teacher)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path | None = None, torch_dtype: torch.dtype | None = None
    ) -> "FrameInterpolationPipeline":
        """Load a model directory; without one, the model that vidcm ships. Only local folders and safetensors are read.

        torch_dtype: of the networks; float32 by default. Raises UserError for a folder that is incomplete or damaged.
        """
        family = MotionFamily.load(folder if folder is not None else shipped("motion"))
        pipe = cls(family.vae, family.dit, family.scheduler, family.teacher)
        return pipe.to(torch_dtype) if torch_dtype else pipe

    @property
    def family(self) -> MotionFamily:
        return MotionFamily(self.vae, self.transformer, self.scheduler, self.teacher)

    @property
    def device(self) -> torch.device:
        """Of all networks. Asked for several times a frame: diffusers' own looks through every module each time."""
        return self.vae.latent_mean.device

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
        callback_on_step_end: Callable[[Any, int, float, dict[str, Tensor]], dict[str, Tensor] | None] | None = None,
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
        frames, confidence = self.together(made, first, last, tau)
        if output_type == "np":
            frames, confidence = (x.permute(0, 2, 3, 4, 1).cpu().numpy() for x in (frames, confidence))
        return FrameInterpolationOutput(frames, confidence) if return_dict else (frames, confidence)

    @torch.no_grad()
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
        callback_on_step_end: Callable[[Any, int, float, dict[str, Tensor]], dict[str, Tensor] | None] | None = None,
        strip: int = STRIP,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """What a call gives, frame by frame, so that one is in memory at full size: [3, H, W] and its confidence
        [1, H, W], the K of the first pair, then those of the next. Motion is found for all of them at once.

        strip: pixels that are made at once, which changes memory and nothing else. The rest: see `__call__`."""
        ends_given, tau = self.check_inputs(first, last, tau, num_inference_steps, around)
        noise = self.keyed(tau, seed, shot, position) if generator is None else self.generated(generator)
        looked = self.look(first, last, around, looks)
        going_on = self.family.continuation(*looked, tau=tau)
        if going_on is not None:
            made = self.go_on(*going_on, ends_given[0], strip)
        else:
            with self.network():
                pair, seen = self.family.pair(*looked, tau=tau), self.family.seen(*looked[:2])
                ends, draft = self.family.observe(pair, seen=seen)
                z, draft = self.latents(num_inference_steps, temperature, noise, ends, draft, callback_on_step_end)
                motion, present = self.vae.decode(z, ends, draft), draft.present
            del looked, looks, pair, seen, ends, draft, z
            made = self.render(motion, present, *ends_given, strip)
        for frame, doubt in made:
            yield frame, doubt.neg_().add_(1)
            del frame, doubt  # before the next one is made

    # The parts of a call --------------------------------------------------------------------------------------------

    def check_inputs(
        self,
        first: Tensor | None,
        last: Tensor | None,
        tau: Tensor | Sequence[float],
        steps: int,
        around: Around = ALONE,
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The full-size ends, the absent one replaced by the other, and tau [B, K]."""
        given = first if first is not None else last
        if given is None:
            raise ValueError("first and last are both None: give at least one frame")
        frames = [x for x in (first, last, around.before, around.after) if x is not None]
        shapes = [tuple(x.shape) for x in frames]
        if len(set(shapes)) > 1 or len(shapes[0]) != 4 or shapes[0][1] < 3:
            raise ValueError(f"first, last and around must be RGB frames [B, 3, H, W] of one size, got {shapes}")
        for frame in frames:
            least, most = extremes(frame[:, :3])
            if not frame.is_floating_point() or least < -RANGE_SLACK or most > 1 + RANGE_SLACK:
                raise ValueError("first, last and around must be floating point in 0..1: divide 8-bit frames by 255")
        if steps < 0:
            raise ValueError(f"num_inference_steps must be at least 0, got {steps}")
        if isinstance(tau, Sequence):
            tau = torch.tensor([float(t) for t in tau], dtype=torch.float64)
        tau = tau.expand(len(given), -1) if tau.ndim == 1 else tau
        if tau.ndim != 2 or len(tau) != len(given) or tau.shape[1] == 0 or not ((tau > 0) & (tau < 1)).all():
            raise ValueError(f"tau must be instants strictly between 0 and 1, [K] or [B, K], got {tau.tolist()}")
        tau = tau.float().clamp(NEAREST, 1 - NEAREST).to(given.device)  # an instant next to an end may round to it
        return (given if first is None else first, given if last is None else last), tau

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

    def keyed(self, tau: Tensor, seed: int, shot: int, position: int | Sequence[int]) -> Draw:
        """draw(i, shape) for the i-th noise [B, C, K, h, w]: each in-between frame keyed by where it stands, or the
        pair, where it is drawn for that: [B, C, 1, h, w]."""
        starts = range(position, position + len(tau)) if isinstance(position, int) else position
        pairs = zip(starts, tau.tolist(), strict=True)
        places = [[start + Fraction(t).limit_denominator(10**5) for t in row] for start, row in pairs]

        def draw(index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
            channels, _, height, width = shape[1:]
            key = {"seed": seed, "shot": shot, "draw": index}
            wanted = [[start] for start in starts] if of_pair else places
            made = [[keyed_noise((channels, height, width), position=p, **key) for p in row] for row in wanted]
            return torch.stack([torch.stack(row, dim=1) for row in made]).to(tau.device)

        return draw

    def generated(self, generator: Generators) -> Draw:
        """draw(i, shape) from one generator, or from one a batch entry."""

        def draw(index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
            each = generator if isinstance(generator, list) else [generator]
            size = shape if len(each) == 1 else (1, *shape[1:])
            return torch.cat([torch.randn(size, generator=g, device=g.device).to(self.device) for g in each])

        return draw

    def latents(
        self,
        steps: int,
        temperature: float | None,
        draw: Draw,
        ends: Ends,
        draft: Draft,
        callback: Callable | None = None,
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
        believing, code = self.family.believing(draft, self.sides(heat, draw, shape) if steps > 1 else None)
        anchor: dict[str, Any] = {**self.scheduler.anchor, "better": lambda x0: self.family.believed(x0, code, draft)}
        like = draft.doubt.new_empty(shape)
        x0 = anchored(step, like, angles=angles, renoise=lambda i: draw(i, shape), temperature=heat, **anchor)
        return self.vae.unscale(rows(x0)), believing

    def sides(self, temperature: float, draw: Draw, shape: tuple[int, ...]) -> Tensor | None:
        """What the shares of both sides are drawn with, the same at all instants of a pair: [B*K, 2, h, w]. None where
        they are not."""
        batch, _, count, height, width = shape
        size = self.scheduler.config.sides * temperature
        if size == 0:
            return None
        noise = size * draw(0, (batch, 2, 1, height, width), of_pair=True)
        return rows(noise.expand(-1, -1, count, -1, -1))

    def latent_shape(self, draft: Draft, ends: Ends) -> tuple[int, ...]:
        batch = len(ends.present)
        return (batch, self.vae.config.latent_channels, len(draft.tau) // batch, *draft.doubt.shape[-2:])

    def go_on(self, flow: Tensor, doubt: Tensor, end: Tensor, strip: int = STRIP) -> Iterator[tuple[Tensor, Tensor]]:
        """What `render` gives, of a full-size end [B, 3, H, W] that goes on moving: see `family.continuation`."""
        count, size = len(flow) // len(end), tuple(end.shape[-2:])
        least, most = extremes(end)
        black, white = min(0.0, least), max(1.0, most)
        for i in range(len(flow)):
            made = warp_in_strips(end[i // count, None], flow[i, None], strip)
            unsure = F.interpolate(doubt[i, None], size=size, mode="bilinear", align_corners=False)
            yield made[0].clamp_(black, white), unsure[0]

    def render(
        self, motion: Motion, present: Tensor, first: Tensor, last: Tensor, strip: int = STRIP
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Warp the full-size ends along decoded motion, its rows those of `present` [B*K, 2]: for each of them the
        frame [3, H, W] in 0..1, or as far beyond as the ends go, and doubt [1, H, W]."""
        least, most = zip(*map(extremes, (first, last)), strict=True)
        black, white = min(0.0, *least), max(1.0, *most)
        count, (height, width) = len(present) // len(first), first.shape[-2:]
        if height % 2 or width % 2:
            even = (0, width % 2, 0, height % 2)
            first, last = (F.pad(x, even, mode="replicate") for x in (first, last))
        for i in range(len(present)):
            which = slice(i // count, i // count + 1)
            with self.precision():
                frame, doubt = self.vae.synthesis(motion.row(i), first[which], last[which], present[i, None], strip)
            yield frame[0, :, :height, :width].clamp_(black, white), doubt[0, :, :height, :width].clamp_(0, 1)
            del frame, doubt  # before the next one is made

    def together(
        self,
        made: Iterator[tuple[Tensor, Tensor]],
        first: Tensor | None,
        last: Tensor | None,
        tau: Tensor | Sequence[float],
    ) -> tuple[Tensor, Tensor]:
        """Frames [B, 3, K, H, W] and what comes with each, [B, 1, K, H, W], of what is made frame by frame."""
        found = None
        for i, each in enumerate(made):
            if found is None:
                batch = len(first if first is not None else last)
                count = len(tau) if isinstance(tau, Sequence) else tau.shape[-1]
                found = tuple(x.new_empty(batch, len(x), count, *x.shape[1:]) for x in each)
            for whole, x in zip(found, each, strict=True):
                whole[i // count, :, i % count] = x
        return found


def extremes(x: Tensor) -> tuple[float, float]:
    """The least and the largest value of pictures [B, C, H, W], in one look on a CPU; not every device has that."""
    x = x.permute(0, 2, 3, 1) if x.stride(1) == 1 else x  # as it lies in memory: a fourth of the time
    least, most = x.aminmax() if x.device.type == "cpu" else (x.amin(), x.amax())
    return float(least), float(most)
