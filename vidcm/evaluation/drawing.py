"""Clips drawn from a video family by one sampler or another, and what that took: to compare samplers and objectives.

Noise is keyed by the clip's number: every sampler and every model starts clip i from the same noise.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.noise import keyed_noise
from vidcm.core.solvers import SOLVERS, Solver
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.sampling.consistency import consistency
from vidcm.sampling.hybrid import hybrid
from vidcm.sampling.ode import ode

GIVEN = {"none": (), "first": ("first",), "ends": ("first", "last")}  # frames of the held-out clip that are told
EVALUATIONS = {"euler": 1, "ddim": 1, "heun": 2}  # in a step
Noise = Callable[[int], Tensor]
"""noise(i): the i-th of a call, [B, C, T, h, w] float32."""


@dataclass(frozen=True)
class Sampler:
    """kind: consistency (steps of the tuned network), ode (the teacher's flow), hybrid (both, by turns)."""

    kind: str
    evaluations: int
    solver: str = "euler"  # of ode and hybrid

    def __post_init__(self) -> None:
        if self.kind not in ("consistency", "ode", "hybrid"):
            raise UserError(f"sampler must be one of consistency, ode, hybrid, got {self.kind!r}")
        if self.solver not in SOLVERS:
            raise UserError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        least = EVALUATIONS[self.solver] if self.kind == "ode" else 1
        if self.evaluations < least:
            raise UserError(f"{self.kind} by {self.solver} takes at least {least} evaluations, got {self.evaluations}")

    def __call__(self, family: Any, condition: Any, noise: Noise, size: tuple[int, ...]) -> Tensor:
        """x0 [B, *size] float32."""
        f = answering_in_float32(family.denoiser(condition))
        scheduler = family.consistency or ConsistencyScheduler()
        heat = scheduler.config.temperature
        if self.kind == "consistency":
            angles = scheduler.angles(self.evaluations)
            return consistency(f, noise(0), angles=angles, renoise=noise, temperature=heat)
        teacher = answering_in_float32(family.denoiser(condition, family.teacher))
        solver: Solver = SOLVERS[self.solver]
        if self.kind == "ode":
            return ode(teacher, noise(0), family.angles(self.evaluations // EVALUATIONS[self.solver], size), solver)
        angles = (*scheduler.angles(self.evaluations), 0.0)
        return hybrid(f, teacher, noise(0), angles=angles, renoise=noise, solver=solver, temperature=heat)


@dataclass(frozen=True)
class Clips:
    """frames: uint8 [N, 3, T, H, W]; x0 [N, C, t, h, w]. Seconds a clip, medians over the batches: of the sampler, and
    of all from the given frames to pictures; wall clock and CPU of the process. asked: evaluations, counted."""

    frames: Tensor
    x0: Tensor
    sampler_s: float
    sampler_cpu_s: float
    whole_s: float
    whole_cpu_s: float
    asked: float


@torch.inference_mode()
def draw_clips(
    family: Any, sampler: Sampler, reference: Tensor, given: str = "none", *, seed: int = 0, batch: int = 8
) -> Clips:
    """As many clips as the reference has, each told the frames of its reference clip that `given` says.

    reference: uint8 [N, 3, T, H, W]."""
    shape = tuple(reference.shape[2:])
    family.grid.check(*shape)
    size = family.latent_shape(*shape)
    made = []
    for start in range(0, len(reference), batch):
        clips = reference[start : start + batch]
        made.append(_draw(family, sampler, clips, start, GIVEN[given], size, seed))
    frames, x0, *taken = zip(*made, strict=True)
    return Clips(torch.cat(frames), torch.cat(x0), *map(median, taken))


def _draw(
    family: Any, sampler: Sampler, clips: Tensor, start: int, given: tuple[str, ...], size: tuple[int, ...], seed: int
) -> tuple[Any, ...]:
    """One batch: frames, x0, seconds a clip, how often a network was asked."""
    count, shape = len(clips), tuple(clips.shape[2:])
    pictures = clips.to(family.device).float() / 255
    ends = {"first": pictures[:, :, 0], "last": pictures[:, :, -1]}
    first, last = (ends[name] if name in given else None for name in ("first", "last"))

    def noise(index: int) -> Tensor:
        keyed = [keyed_noise(size, seed=seed, shot=0, position=start + i, draw=index) for i in range(count)]
        return torch.stack(keyed).to(family.device)

    counted = Counted(family)
    begun = time.perf_counter(), time.process_time()
    condition = {**family.text([""] * count)[0], **family.images(first, last, shape, count, float(family.RATE))}
    ready = time.perf_counter(), time.process_time()
    x0 = sampler(counted, condition, noise, size)
    sampled = time.perf_counter(), time.process_time()
    known = {place: frame for place, frame in ((0, first), (shape[0] - 1, last)) if frame is not None}
    frames = family.given_back(family.decode(x0, noise(sampler.evaluations + 1)), known)
    frames = frames.mul(255).round().to(torch.uint8).cpu()
    done = time.perf_counter(), time.process_time()
    spent = [(b - a) / count for a, b in (*zip(ready, sampled, strict=True), *zip(begun, done, strict=True))]
    return frames, x0.cpu(), *spent, counted.asked


class Counted:
    """A family whose denoisers count how often they are asked."""

    def __init__(self, family: Any) -> None:
        self._family, self.asked = family, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)

    def denoiser(self, condition: Any, network: Any = None) -> Denoiser:
        denoise = self._family.denoiser(condition, network)

        def ask(x: Tensor, angle: Tensor) -> Tensor:
            self.asked += 1
            return denoise(x, angle)

        return ask


def answering_in_float32(denoiser: Denoiser) -> Denoiser:
    return lambda x, angle: denoiser(x, angle).float()
