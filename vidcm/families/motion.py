"""Family `motion`: the shipped frame interpolator. A MotionVAE whose latent a VideoDiT generates from the two ends.

Model directory: vae/ (posterior encoder included), transformer/ (the consistency model), teacher/ (the diffusion model
it was tuned from), scheduler/ (angles and temperature), model_index.json.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.core.circle import Denoiser
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import CirclePrecond
from vidcm.families.checkpoint import load_component, save_model
from vidcm.families.motion_look import Look, measure, motion_between, no_motion, resize
from vidcm.families.motion_objective import MotionObjective
from vidcm.models.acceleration import HINTS, UNEVEN, Beyond
from vidcm.models.belief import disbelief, drawn, told_finely
from vidcm.models.continuation import continued
from vidcm.models.instants import repeated
from vidcm.models.motion_code import compress, parts, significant, surprise
from vidcm.models.motion_context import Draft, Ends, consistency_error
from vidcm.models.motion_vae import MotionVAE, Seen, rows, unrows
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.video_dit import VideoDiT
from vidcm.models.warp import warp
from vidcm.sampling.anchored import anchored

Batch = dict[str, Tensor]


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
        widths = {"condition_channels": vae.config.condition_channels + HINTS, "end_channels": vae.config.widths[-1]}
        sizes = {"dim": 128, "depth": 4, "heads": 4, **config.get("dit", {})}
        dit = VideoDiT(latent_channels=vae.config.latent_channels, **widths, **sizes)
        return cls(vae, dit, ConsistencyScheduler())

    @classmethod
    def load(cls, folder: str | Path) -> "MotionFamily":
        """Raises UserError where a part is missing, incomplete, damaged or not finite."""
        vae, dit = load_component(MotionVAE, folder, "vae"), load_component(VideoDiT, folder, "transformer")
        scheduler = load_component(ConsistencyScheduler, folder, "scheduler")
        seen, wanted = dit.config.condition_channels, vae.config.condition_channels + HINTS
        if seen != wanted:
            raise UserError(
                f"{folder}: its transformer sees {seen} channels of condition, this version has {wanted}: weights of "
                "another version, train or download them anew"
            )
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

    def look(self, frame: Tensor) -> Look:
        """frame: float32 [B, 3, H, W] in 0..1, any size."""
        return Look(frame, self.vae.config.finer)

    def pair(
        self,
        first: Look | None,
        last: Look | None,
        beyond: tuple[Look | None, Look | None] = (None, None),
        steps: tuple[float, float] = (1.0, 1.0),
        *,
        tau: Tensor,
    ) -> Batch:
        """Two frames, with the motion between them. A batch as in training, without the truth.

        One of them may be None. tau [B, K], strictly inside (0, 1). beyond: the frames before the first and after the
        last, if any; steps: how far off in time, in units of the pair, shared by the batch. A pair that shows one
        picture twice stands still, whatever is around it."""
        known = first or last
        batch = {"tau": tau}
        for name, look in (("first", first), ("last", last)):
            batch[name] = torch.zeros_like(known.small) if look is None else look.small
            batch[f"{name}_present"] = torch.full((len(tau),), look is not None, device=tau.device)
        batch["flow_forward"] = motion_between(first, last, like=known)
        batch["flow_backward"] = motion_between(last, first, like=known)
        moves = torch.zeros_like(batch["first_present"]) if None in (first, last) else first.differs(last)
        beyond_present, told_steps = [], []
        for name, end, look, step in zip(("before", "after"), (first, last), beyond, steps, strict=True):
            told = look if None not in (first, last) and 1 / UNEVEN <= step <= UNEVEN else None
            batch[name] = torch.zeros_like(known.quarter) if told is None else told.quarter
            batch[f"flow_{name}"] = motion_between(end, told, like=known)
            beyond_present.append(torch.zeros_like(moves) if told is None else moves & end.differs(told))
            told_steps.append(1.0 if told is None else step)
        batch["steps"] = known.small.new_tensor(told_steps).expand(len(tau), 2)
        return batch | {"beyond_present": torch.stack(beyond_present, dim=1)}

    def continuation(
        self,
        first: Look | None,
        last: Look | None,
        beyond: tuple[Look | None, Look | None],
        steps: tuple[float, float],
        *,
        tau: Tensor,
    ) -> tuple[Tensor, Tensor] | None:
        """Where one end is absent and the frame beyond the other one is there: the motion from the instants to that
        end, as it was between those two frames, [B*K, 2, h, w], and where they do not bear it out, 0..1
        [B*K, 1, h, w]; both on the 1/4 grid. Else None. Arguments as for `pair`."""
        side = 0 if last is None else 1
        end, told, step = (first, last)[side], beyond[side], steps[side]
        if None not in (first, last) or told is None or not 1 / UNEVEN <= step <= UNEVEN:
            return None
        flow, count = end.motion_to(told), tau.shape[1]
        doubt = consistency_error(flow, told.motion_to(end))
        flow, doubt = (repeated(x, count) for x in (flow, doubt))
        going_on = continued(flow, step, (1 - tau if side else tau).flatten())
        return going_on, warp(doubt, going_on)

    def with_truth(self, batch: Batch, frames: Tensor) -> Batch:
        """Add the true in-between frames [B, 3, K, H, W] and their measured motion to what `pair` made."""
        batch_size, _, count = frames.shape[:3]
        small = resize(rows(frames), tuple(batch["first"].shape[-2:]))
        found = {"frames": unrows(small, batch_size)}
        for end in ("first", "last"):
            there = batch[f"{end}_present"].all()
            flow = measure(small, batch[end].repeat_interleave(count, dim=0)) if there else no_motion(small)
            found[f"flow_to_{end}"] = unrows(flow, batch_size)
        return batch | found

    # What the networks see ------------------------------------------------------------------------------------------

    def observe(self, batch: Batch, scale: int = 1, seen: tuple[Seen, Seen] | None = None) -> tuple[Ends, Draft]:
        """The ends of a batch at 1/scale of its size, and what they tell of its instants. seen: of the ends at that
        size, where they were looked at before."""
        names = ("flow_forward", "flow_backward", "flow_before", "flow_after")
        *across, before, after = (averaged(batch[name].float(), scale) / scale for name in names)
        present = torch.stack((batch["first_present"], batch["last_present"]), dim=1)
        pictures = averaged(batch["before"], scale), averaged(batch["after"], scale)
        beyond = Beyond(pictures, (before, after), batch["steps"], batch["beyond_present"].float())
        if seen is None:
            both = self.vae.see(averaged(torch.cat((batch["first"], batch["last"])), scale))
            seen = tuple(zip(*(x.chunk(2) for x in both), strict=True))
        ends = self.vae.ends(*seen, *across, present, beyond)
        return ends, self.vae.context(ends, batch["tau"])

    def seen(self, first: Look | None, last: Look | None) -> tuple[Seen, Seen]:
        """What the network sees of two ends, an absent one replaced by the other. That of the last one is kept until
        it has been the first of another pair: in a stream every frame is looked at once."""
        by = (self.vae, self.vae.dtype, self.vae.device)
        of_first = first and (first.taken(by) or self.vae.see(first.small))
        of_last = last and self.vae.see(last.small)
        if first is not None and last is not None:
            last.keep(by, of_last)
        return of_first or of_last, of_last or of_first

    def wanted(self, batch: Batch, ends: Ends, draft: Draft, scale: int = 1) -> Tensor:
        """What the batch's true frames ask to correct, [B*K, 5, h/4, w/4]."""
        flows = (averaged(rows(batch[name]), scale) / scale for name in ("flow_to_first", "flow_to_last"))
        return self.vae.wanted(ends, draft, averaged(rows(batch["frames"]), scale), *flows)

    def infer(self, batch: Batch, draft: Draft, wanted: Tensor, scale: int = 1) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior of the batch's true frames, before scaling."""
        return self.vae.encode(draft, averaged(rows(batch["frames"]), scale), wanted)

    @torch.no_grad()
    def encode(self, batch: Batch, *, generator: torch.Generator) -> tuple[Tensor, Batch]:
        """x0 [B, C, K, h, w] drawn from the posterior, unit standard deviation, and the DiT's condition."""
        ends, draft = self.observe(batch)
        z = self.vae.scale(sample(*self.infer(batch, draft, self.wanted(batch, ends, draft)), generator))
        return unrows(z, ends.present.shape[0]), self.condition(ends, draft)

    def condition(self, ends: Ends, draft: Draft) -> Batch:
        """The keyword arguments of the DiT."""
        batch = ends.present.shape[0]
        seen = torch.cat((draft.condition, draft.hints.to(draft.condition.dtype)), dim=1)
        told = {"condition": unrows(seen, batch), "ends": self.vae.end_tokens(ends)}
        return {**told, "tau": draft.tau.view(batch, -1), "present": ends.present}

    def denoiser(self, condition: Batch, network: nn.Module | None = None) -> Denoiser:
        """denoiser(x, angle) of the DiT, or of another network such as the teacher, under a condition."""
        return CirclePrecond().denoiser(network or self.dit, **condition)

    def believing(self, draft: Draft, noise: Tensor | None = None) -> tuple[Draft, Tensor]:
        """What the frames around the pair let expect (vidcm/models/belief.py): the draft with its flows corrected by
        what is within the cells, and the code of those as a whole [B*K, 2, h, w], for `believed`. noise: what the
        shares are drawn with, [B*K, 2, h, w]; None takes the shares that are to be expected."""
        shares = draft.shares if noise is None else drawn(draft.shares, draft.strayed, noise)
        cells, within = told_finely(shares, draft.strayed)
        first, last = draft.flows
        return replace(draft, flows=(first + within, last + within)), compress(cells, draft.doubt[:, :2])

    def believed(self, x0: Tensor, code: Tensor, draft: Draft) -> Tensor:
        """x0 [B, C, K, h, w], such as the DiT's answer without noise, with the code of `believing` in place of its own
        guess of the part that both flows share; the same where nothing hints."""
        z = self.vae.unscale(rows(x0))
        z = torch.cat((torch.where(draft.hinted > 0, code, z[:, :2]), z[:, 2:]), dim=1)
        return unrows(self.vae.scale(z), len(x0))

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
        missing = significant(parts(F.avg_pool2d(wanted, 4)))
        expected, _ = told_finely(draft.shares, draft.strayed)
        surprised, disbelieved = surprise(missing, draft.doubt), disbelief(expected, draft.hinted, missing[:, :2])
        loss = loss + goal.kl_at(samples_seen) * divergence + goal.guess * guess + goal.doubt * surprised
        loss = loss + goal.belief * disbelieved
        logs |= {"kl": divergence.mean().item(), "guess": guess.mean().item(), "z_power": mean.square().mean().item()}
        logs |= {"surprise": surprised.mean().item(), "disbelief": disbelieved.mean().item()}
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
            temperature = self.scheduler.config.temperature
            of_pairs = gaussian(like[:, :2, :1], generator).expand_as(like[:, :2])
            believing, code = self.believing(draft, self.scheduler.config.sides * temperature * rows(of_pairs))
            sampled = anchored(
                lambda x, angle: f(x, angle).float(),
                like,
                angles=self.scheduler.angles(2),
                renoise=lambda _: gaussian(like, generator),
                temperature=temperature,
                better=lambda x0: self.believed(x0, code, draft),
                **self.scheduler.anchor,
            )
            kept = uniform(truth[:, :1, :1, :1], generator) < self.objective.posterior_share
            z = torch.where(kept, truth, self.vae.unscale(rows(sampled)))
            flows = zip(draft.flows, believing.flows, strict=True)
            draft = replace(draft, flows=tuple(torch.where(kept, known, told) for known, told in flows))
        loss, logs = self.objective.reconstruction(self.vae, batch, ends, draft, z, 1, samples_seen)
        return loss.view(len(ends.present), -1).mean(1), logs


def averaged(x: Tensor, scale: int) -> Tensor:
    return x if scale == 1 else F.avg_pool2d(x, scale)


def sample(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    return mean + (0.5 * log_variance).exp() * gaussian(mean, generator)


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like.device)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=generator.device).to(like.device)


FAMILY = MotionFamily
