"""What the MotionVAE is trained for: pictures that equal the true frame, motion that explains it, a cheap latent."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcm.core.photometric import charbonnier, laplacian
from vidcm.models.motion_context import Draft, Ends
from vidcm.models.motion_decoder import Stage, nearer
from vidcm.models.motion_vae import MotionVAE, rows, unrows
from vidcm.models.warp import warp


@dataclass(frozen=True)
class MotionObjective:
    """Weights multiply means over pixels or latent elements; schedules count samples."""

    level: float = 5e-3  # error of the starting blend at which pictures weigh half of the most: see `weigh`
    laplacian: float = 0.5
    stage: float = 0.3  # each stage's blend of the warped ends at 1/4
    flow: float = 0.1  # draws the first correction to the measured one, per 1/4 cell; fades over flow_samples
    flow_samples: int = 16_000
    kl: float = 5e-4
    kl_start: int = 6_000  # samples without KL, then as many in which it grows
    guess: float = 0.1  # regression of the posterior's mean from the condition
    doubt: float = 0.02  # likelihood of the measured correction under the draft's doubt
    belief: float = 0.1  # error of the deviation that the hints let expect
    change: float = 0.2  # difference of neighbouring frames, where a batch has three or more
    draft_share: float = 0.1  # of the batch decoded from z = 0, so that the draft stays a picture
    posterior_share: float = 0.3  # of the batch in decoder tuning; the rest is sampled
    scales: tuple[float, float, float] = (0.7, 0.2, 0.1)  # share of batches whose motion is found at 1, 1/2, 1/4 size

    def weigh(self, starting_error: Tensor) -> Tensor:
        """Weight of a sample's picture terms, 3 at the most: far above `level` the inverse of the error [N] it starts
        with, as the derivative of a decibel. Hard scenes would otherwise be all that is learned from."""
        return 3 * self.level / (self.level + starting_error)

    def kl_at(self, samples_seen: int) -> float:
        return self.kl * min(1.0, max(0.0, samples_seen / self.kl_start - 1))

    def working_scale(self, frame: Tensor, generator: torch.Generator) -> int:
        """1, 2 or 4, drawn for the whole batch, as far as the size of `frame` [..., H, W] is divisible."""
        point = torch.rand((), generator=generator, device=generator.device).item()
        scale = 1 if point < self.scales[0] else 2 if point < self.scales[0] + self.scales[1] else 4
        while scale > 1 and any(side % (16 * scale) for side in frame.shape[-2:]):
            scale //= 2
        return scale

    def reconstruction(
        self,
        vae: MotionVAE,
        batch: dict[str, Tensor],
        ends: Ends,
        draft: Draft,
        z: Tensor,
        scale: int,
        samples_seen: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss [B*K] of the frames decoded from z, and what to log. The motion was found at 1/scale of the size."""
        count = batch["tau"].shape[1]
        first, last = (batch[name].repeat_interleave(count, dim=0) for name in ("first", "last"))
        truth = rows(batch["frames"])
        motion = vae.decode(z, ends, draft)
        frame, _ = vae.synthesis(motion, first, last, draft.present)
        loss = charbonnier(frame, truth) + self.laplacian * laplacian(frame, truth)
        quarter = [F.avg_pool2d(image, 4 * scale) for image in (first, last, truth)]
        loss = loss + self.stage * self._stage_error(motion.stages, quarter, draft.present)
        if count >= 3:
            change = unrows(frame - truth, len(ends.present)).diff(dim=2).abs().mean((1, 2, 3, 4))
            loss = loss + self.change * change.repeat_interleave(count, dim=0)
        loss = loss * self.weigh(self._stage_error([(draft.flows, nearer(draft))], quarter, draft.present))
        measured = [F.avg_pool2d(rows(batch[name]), scale) / scale for name in ("flow_to_first", "flow_to_last")]
        missed = self._flow_error(motion.stages[0][0], measured, draft.present)
        loss = loss + self.flow * max(0.0, 1 - samples_seen / self.flow_samples) * missed
        mse = (frame.detach().clamp(0, 1) - truth).square().mean((1, 2, 3))
        start = self._flow_error(draft.flows, measured, draft.present)
        logs = {"psnr": (-10 * mse.clamp(min=1e-8).log10()).mean().item()}
        logs["flow_left"] = (missed.mean() / start.mean()).item()  # share of the measured correction that is missing
        return loss, logs

    @staticmethod
    def _stage_error(stages: list[Stage], quarter: list[Tensor], present: Tensor) -> Tensor:
        """Charbonnier error of the plain blend of the warped ends (first, last, truth at 1/4), summed over stages."""
        first, last, truth = quarter
        weight = present[:, :, None, None, None]
        total = truth.new_zeros(truth.shape[0])
        for (to_first, to_last), mask in stages:
            shares = torch.stack((torch.sigmoid(mask), torch.sigmoid(-mask)), dim=1) * weight
            shares = shares / shares.sum(1, keepdim=True).clamp(min=1e-6)
            blend = shares[:, 0] * warp(first, to_first) + shares[:, 1] * warp(last, to_last)
            total = total + charbonnier(blend, truth)
        return total

    @staticmethod
    def _flow_error(flows: tuple[Tensor, Tensor], measured: list[Tensor], present: Tensor) -> Tensor:
        """Mean length, robust, by which flows to both ends miss the measured ones; absent ends do not count."""
        errors = [charbonnier(flow, goal, eps=0.1) for flow, goal in zip(flows, measured, strict=True)]
        return (torch.stack(errors, dim=1) * present).sum(1)
