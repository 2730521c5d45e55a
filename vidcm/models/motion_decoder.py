"""From a latent and what the ends tell to motion."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcm.models.layers import Residual, Upsample, conv, grown, joined, silent_head
from vidcm.models.motion_code import PARTS, expand
from vidcm.models.motion_context import Draft
from vidcm.models.warp import warp

Stage = tuple[tuple[Tensor, Tensor], Tensor]  # flows to (first, last), and the mask


@dataclass
class Motion:
    """Decoded motion, [B*K] rows. flows: to (first, last); mask: logit that the first end is the one to trust; hidden:
    features for the synthesis; all on the 1/2 grid. stages: (flows, mask) at 1/4 after each stage, for the losses."""

    flows: tuple[Tensor, Tensor]
    mask: Tensor
    hidden: Tensor
    stages: list[Stage]

    def row(self, index: int) -> "Motion":
        """One in-between frame's part, without the stages."""
        one = slice(index, index + 1)
        return Motion((self.flows[0][one], self.flows[1][one]), self.mask[one], self.hidden[one], [])


def nearer(draft: Draft) -> Tensor:
    """The mask that weighs the ends by how near they are, [B*K, 1, h, w]."""
    logit = torch.logit((1 - draft.tau).clamp(0.01, 0.99)).view(-1, 1, 1, 1)
    return logit.expand_as(draft.flows[0][:, :1])


class MotionDecoder(nn.Module):
    """z and the draft -> flows and mask: a correction of any size from z, then two bounded local refinements.

    Nothing here compares the ends over a neighbourhood: beyond `reach` cells only z can move a pixel.
    """

    reach = 2.0
    decided = 4.0  # added to the mask's logit where one end alone shows the place

    def __init__(self, widths: tuple[int, ...], local: int, latent: int, hidden: int = 32):
        super().__init__()
        w2, w4, _, _ = widths
        self.latent = nn.Sequential(conv(latent, 128), Residual(128), Upsample(128, 96), Upsample(96, local))
        self.coarse = nn.Conv2d(latent, PARTS, 1)  # starts as the posterior's first channels, read back
        nn.init.zeros_(self.coarse.bias)
        with torch.no_grad():
            self.coarse.weight.copy_(torch.eye(PARTS, latent)[:, :, None, None])
        self.correct = nn.Sequential(conv(2 * local, 64), Residual(64), conv(64, hidden))
        self.correct_head = silent_head(hidden, 5)
        self.refine4 = nn.Sequential(conv(3 * w4 + hidden + 5, 64), Residual(64), conv(64, hidden))
        self.refine4_head = silent_head(hidden, 5)
        self.refine2 = nn.Sequential(conv(3 * w2 + hidden + 5, 32), Residual(32), conv(32, hidden // 2))
        self.refine2_head = silent_head(hidden // 2, 5)

    def read(self, z: Tensor) -> Tensor:
        """The code in z, in float32 whatever the networks compute in: half precision would round motion to its grid."""
        with torch.autocast(z.device.type, enabled=False):
            return F.conv2d(z.float(), self.coarse.weight.float(), self.coarse.bias.float())

    def bounded(self, step: Tensor) -> Tensor:
        return torch.cat((self.reach * (step[:, :4] / self.reach).tanh(), step[:, 4:]), dim=1)

    def refine(
        self, body: nn.Module, head: nn.Module, features: tuple[Tensor, Tensor], state: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """state [N, 5, h, w]: both flows and the mask's logit, float32. Returns it refined, and hidden features."""
        first, last = (warp(f, flow) for f, flow in zip(features, (state[:, :2], state[:, 2:4]), strict=True))
        hidden = body(joined(first, last, (first - last).abs(), hidden, (state / 8).to(first.dtype)))
        return state + self.bounded(head(hidden).float()), hidden

    def forward(self, z: Tensor, draft: Draft, quarter: tuple[Tensor, Tensor], half: tuple[Tensor, Tensor]) -> Motion:
        """z [B*K, latent, h/16, w/16]; quarter, half: the ends' 1/4 and 1/2 features, one row an in-between frame."""
        hidden = self.correct(joined(self.latent(z), draft.local))
        start = joined(*draft.flows, nearer(draft))
        doubt = draft.doubt.detach()  # it learns from the measured motion alone
        coarse = grown(expand(self.read(z), doubt), 4)
        unit = grown(F.pad(doubt[:, :2].repeat(1, 2, 1, 1), (0, 0, 0, 0, 0, 1), value=1.0), 4)
        coarse = joined(coarse[:, :4], self.decided * coarse[:, 4:])
        corrected = start + coarse + unit * self.correct_head(hidden).float()
        refined, hidden = self.refine(self.refine4, self.refine4_head, quarter, corrected, hidden)
        doubled = grown(refined, 2)
        doubled = joined(2 * doubled[:, :4], doubled[:, 4:])
        hidden = grown(hidden, 2)
        state, hidden = self.refine(self.refine2, self.refine2_head, half, doubled, hidden)
        stages = [((s[:, :2], s[:, 2:4]), s[:, 4:]) for s in (corrected, refined)]
        to_first, to_last, mask = (x.contiguous() for x in state.split((2, 2, 1), dim=1))  # to be grown plane by plane
        return Motion((to_first, to_last), mask, hidden, stages)
