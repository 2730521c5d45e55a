"""Family `motion`: the shipped frame interpolator. A MotionVAE whose latent a VideoDiT generates from the two ends.

Model directory: vae/ (posterior encoder included), transformer/ (the consistency model), teacher/ (the diffusion model
it was tuned from), scheduler/ (angles and temperature), model_index.json.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.parameterisations import CirclePrecond
from vidcm.families.checkpoint import load_component, save_model
from vidcm.families.motion_objective import MotionObjective
from vidcm.media.motion import dis_flow, grey, reduce_flow
from vidcm.models.motion_code import surprise
from vidcm.models.motion_context import Draft, Ends
from vidcm.models.motion_vae import MotionVAE, rows, unrows
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.video_dit import VideoDiT
from vidcm.sampling.consistency import consistency

Batch = dict[str, Tensor]
WORKING_SIDE = 256


@dataclass
class MotionFamily:
    vae: MotionVAE
    dit: VideoDiT
    scheduler: ConsistencyScheduler
    teacher: VideoDiT | None = None
    objective: MotionObjective = field(default_factory=MotionObjective)

    @classmethod
    def create(cls, config: dict[str, Any]) -> "MotionFamily":
        """A new model. config: {"vae": {...}, "dit": {...}}, overriding the classes' defaults."""
        vae = MotionVAE(**config.get("vae", {}))
        widths = {"condition_channels": vae.config.condition_channels, "end_channels": vae.config.widths[-1]}
        sizes = {"dim": 128, "depth": 4, "heads": 4, **config.get("dit", {})}
        dit = VideoDiT(latent_channels=vae.config.latent_channels, **widths, **sizes)
        return cls(vae, dit, ConsistencyScheduler())

    @classmethod
    def load(cls, folder: str | Path) -> "MotionFamily":
        """Raises UserError where a part is missing, incomplete, damaged or not finite."""
        vae, dit = load_component(MotionVAE, folder, "vae"), load_component(VideoDiT, folder, "transformer")
        scheduler = load_component(ConsistencyScheduler, folder, "scheduler")
        has_teacher = (Path(folder) / "teacher").is_dir()
        return cls(vae, dit, scheduler, load_component(VideoDiT, folder, "teacher") if has_teacher else None)

    def save(self, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
        parts = {"vae": self.vae, "transformer": self.dit, "teacher": self.teacher, "scheduler": self.scheduler}
        save_model(folder, "FrameInterpolationPipeline", parts, dtype)

    def modules(self) -> Iterable[nn.Module]:
        return filter(None, (self.vae, self.dit, self.teacher))

    def to(self, device: torch.device | str) -> "MotionFamily":
        for module in self.modules():
            module.to(device, memory_format=torch.channels_last if module is self.vae else torch.preserve_format)
        return self

    def trainable(self, stage: str) -> nn.Module:
        """The weights that a stage trains; everything else is frozen."""
        if stage == "vae":
            return self.vae
        if stage == "decoder":
            return nn.ModuleList((self.vae.decoder, self.vae.synthesis))
        return self.dit

    # From pictures to what the networks see -------------------------------------------------------------------------

    def pair(self, first: Tensor | None, last: Tensor | None, tau: Tensor) -> Batch:
        """Two frames of any size, float32 [B, 3, H, W] in 0..1, at the working size, with the motion between them.

        One of them may be None. tau [B, K], strictly inside (0, 1). A batch as in training, without the truth."""
        given = first if first is not None else last
        size = working_size(*given.shape[-2:])
        small = [None if frame is None else resize(frame, size) for frame in (first, last)]
        there = torch.ones(len(given), dtype=torch.bool, device=given.device)
        batch = {"tau": tau, "first_present": there & (first is not None), "last_present": there & (last is not None)}
        known = small[0] if small[0] is not None else small[1]
        batch |= {
            name: torch.zeros_like(known) if frame is None else frame
            for name, frame in zip(("first", "last"), small, strict=True)
        }
        flows = (measure(*small), measure(*small[::-1])) if None not in (first, last) else 2 * (no_motion(known),)
        return batch | dict(zip(("flow_forward", "flow_backward"), flows, strict=True))

    def with_truth(self, batch: Batch, frames: Tensor) -> Batch:
        """Add the true in-between frames [B, 3, K, H, W] and their measured motion to what `pair` made."""
        batch_size, _, count = frames.shape[:3]
        small = resize(rows(frames), batch["first"].shape[-2:])
        found = {"frames": unrows(small, batch_size)}
        for end in ("first", "last"):
            there = batch[f"{end}_present"].all()
            flow = measure(small, batch[end].repeat_interleave(count, dim=0)) if there else no_motion(small)
            found[f"flow_to_{end}"] = unrows(flow, batch_size)
        return batch | found

    # What the networks see ------------------------------------------------------------------------------------------

    def observe(self, batch: Batch, scale: int = 1) -> tuple[Ends, Draft]:
        """The ends of a batch at 1/scale of its size, and what they tell of its instants."""
        flows = (F.avg_pool2d(batch[name], scale) / scale for name in ("flow_forward", "flow_backward"))
        first, last = (F.avg_pool2d(batch[name], scale) for name in ("first", "last"))
        present = torch.stack((batch["first_present"], batch["last_present"]), dim=1)
        ends = self.vae.ends(first, last, *flows, present)
        return ends, self.vae.context(ends, batch["tau"])

    def wanted(self, batch: Batch, ends: Ends, draft: Draft, scale: int = 1) -> Tensor:
        """What the batch's true frames ask to correct, [B*K, 5, h/4, w/4]."""
        flows = (F.avg_pool2d(rows(batch[name]), scale) / scale for name in ("flow_to_first", "flow_to_last"))
        return self.vae.wanted(ends, draft, F.avg_pool2d(rows(batch["frames"]), scale), *flows)

    def infer(self, batch: Batch, draft: Draft, wanted: Tensor, scale: int = 1) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior of the batch's true frames, before scaling."""
        return self.vae.encode(draft, F.avg_pool2d(rows(batch["frames"]), scale), wanted)

    @torch.no_grad()
    def encode(self, batch: Batch, *, generator: torch.Generator) -> tuple[Tensor, Batch]:
        """x0 [B, C, K, h, w] drawn from the posterior, unit standard deviation, and the DiT's condition."""
        ends, draft = self.observe(batch)
        z = self.vae.scale(sample(*self.infer(batch, draft, self.wanted(batch, ends, draft)), generator))
        return unrows(z, ends.present.shape[0]), self.condition(ends, draft)

    def condition(self, ends: Ends, draft: Draft) -> Batch:
        """The keyword arguments of the DiT."""
        batch = ends.present.shape[0]
        told = {"condition": unrows(draft.condition, batch), "ends": self.vae.end_tokens(ends)}
        return {**told, "tau": draft.tau.view(batch, -1), "present": ends.present}

    def denoiser(self, condition: Batch, network: nn.Module | None = None) -> Denoiser:
        """denoiser(x, angle) of the DiT, or of another network such as the teacher, under a condition."""
        return CirclePrecond().denoiser(network or self.dit, **condition)

    # What the VAE is trained for ------------------------------------------------------------------------------------

    def vae_loss(
        self, batch: Batch, *, generator: torch.Generator, samples_seen: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Reconstruction through the posterior. Returns the loss [B] and what to log."""
        goal = self.objective
        scale = goal.working_scale(batch["first"], generator)
        ends, draft = self.observe(batch, scale)
        wanted = self.wanted(batch, ends, draft, scale)
        mean, log_variance = self.infer(batch, draft, wanted, scale)
        z = sample(mean, log_variance, generator)
        self.vae.follow(z)
        kept = uniform(z[:, :1, :1, :1], generator) >= goal.draft_share
        loss, logs = goal.reconstruction(self.vae, batch, ends, draft, z * kept, scale, samples_seen)

        divergence = (0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)).mean((1, 2, 3))
        guess = (self.vae.context.guess(draft.condition).float() - mean.detach()).square().mean((1, 2, 3))
        surprised = surprise(F.avg_pool2d(wanted, 4), draft.doubt)
        loss = loss + goal.kl_at(samples_seen) * divergence + goal.guess * guess + goal.doubt * surprised
        logs |= {"kl": divergence.mean().item(), "guess": guess.mean().item(), "z_power": mean.square().mean().item()}
        logs["surprise"] = surprised.mean().item()
        return loss.view(len(ends.present), -1).mean(1), logs

    def decoder_loss(
        self, batch: Batch, *, generator: torch.Generator, samples_seen: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Reconstruction from sampled latents, for the decoder alone. Returns the loss [B] and what to log."""
        with torch.no_grad():
            ends, draft = self.observe(batch)
            truth = sample(*self.infer(batch, draft, self.wanted(batch, ends, draft)), generator)
            f = self.denoiser(self.condition(ends, draft))
            like = unrows(truth, len(ends.present))
            sampled = consistency(
                lambda x, angle: f(x, angle).float(),
                gaussian(like, generator),
                angles=self.scheduler.angles(2),
                renoise=lambda _: gaussian(like, generator),
                temperature=self.scheduler.config.temperature,
            )
            kept = uniform(truth[:, :1, :1, :1], generator) < self.objective.posterior_share
            z = torch.where(kept, truth, self.vae.unscale(rows(sampled)))
        loss, logs = self.objective.reconstruction(self.vae, batch, ends, draft, z, 1, samples_seen)
        return loss.view(len(ends.present), -1).mean(1), logs


def working_size(height: int, width: int) -> tuple[int, int]:
    """Where motion is found: the short side brought down to about 256 pixels, both sides to multiples of 16."""
    shrink = min(1.0, WORKING_SIDE / min(height, width))
    return tuple(max(64, 16 * round(side * shrink / 16)) for side in (height, width))


def resize(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased when it shrinks."""
    if frame.shape[-2:] == tuple(size):
        return frame
    return F.interpolate(frame, size=size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)


def measure(a: Tensor, b: Tensor) -> Tensor:
    """Motion a -> b of working-size frames [N, 3, H, W] on the 1/4 grid: [N, 2, H/4, W/4], by OpenCV's DIS."""
    pictures = [(255 * x).round().byte().permute(0, 2, 3, 1).cpu().numpy() for x in (a, b)]
    flows = [reduce_flow(dis_flow(grey(x), grey(y)), 4) for x, y in zip(*pictures, strict=True)]
    return torch.from_numpy(np.stack(flows)).to(a.device)


def no_motion(frame: Tensor) -> Tensor:
    return frame.new_zeros(len(frame), 2, frame.shape[-2] // 4, frame.shape[-1] // 4)


def sample(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    return mean + (0.5 * log_variance).exp() * gaussian(mean, generator)


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like.device)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=generator.device).to(like.device)


FAMILY = MotionFamily
