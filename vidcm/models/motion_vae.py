"""MotionVAE: the latent says how a frame between two ends moves and what it sees; pixels come from the ends.

Everything but the last warp happens at the working size. Grids are named by their fraction of it: 2, 4, 8, 16.

    ends --FramePyramid--> features                                once a source frame
    starting flow + features --MotionContext--> draft (1/4), condition (1/16)    what the ends tell; search lives here
    true frame + its measured flows --Posterior--> z (1/16)         training, tuning and evaluation only
    z, draft --MotionDecoder--> flows to both ends, mask (1/2)      corrects, may not search
    flows, full-size ends --Synthesis--> the frame                  full size
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn

from vidcm.models.layers import Residual, Upsample, conv, silent_head
from vidcm.models.warp import project_flow, resize_flow, warp

SEARCH_RADIUS = 4  # cells of the 1/8 grid: the condition sees residual motion up to 32 pixels of the working size


@dataclass
class Ends:
    """What is known of a pair. features: (1/2, 1/4, 1/8, 1/16), each a pair (first, last) of [B, C, h, w];
    flows on the 1/4 grid [B, 2, h, w]; present [B, 2] float."""

    features: tuple[tuple[Tensor, Tensor], ...]
    flow_forward: Tensor
    flow_backward: Tensor
    present: Tensor


@dataclass
class Draft:
    """The pair seen from one instant a row, [B*K] rows. flows: starting flows to (first, last), 1/4 grid; warped: the 1/4
    features brought along them; local: their digest [B*K, c, h/4, w/4]; tau [B*K]; present [B*K, 2]."""

    flows: tuple[Tensor, Tensor]
    warped: tuple[Tensor, Tensor]
    local: Tensor
    tau: Tensor
    present: Tensor


@dataclass
class Motion:
    """Decoded motion, [B*K] rows. flows: to (first, last); mask: logit that the first end is the one to trust; hidden:
    features for the synthesis; all on the 1/2 grid. stages: (flows, mask) of the 1/4 grid after each stage, for the losses."""

    flows: tuple[Tensor, Tensor]
    mask: Tensor
    hidden: Tensor
    stages: list[tuple[tuple[Tensor, Tensor], Tensor]]


class FramePyramid(nn.Module):
    """One frame [B, 3, H, W] in 0..1 -> features at 1/2, 1/4, 1/8 and 1/16."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        w2, w4, w8, w16 = widths
        self.to_2 = nn.Sequential(conv(3, w2, 2), conv(w2, w2))
        self.to_4 = nn.Sequential(conv(w2, w4, 2), Residual(w4))
        self.to_8 = nn.Sequential(conv(w4, w8, 2), Residual(w8))
        self.to_16 = nn.Sequential(conv(w8, w16, 2), Residual(w16))

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        f2 = self.to_2(2 * frame - 1)
        f4 = self.to_4(f2)
        f8 = self.to_8(f4)
        return f2, f4, f8, self.to_16(f8)


def correlation(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Cosine similarity of a[y, x] with b[y+dy, x+dx] for |dy|, |dx| <= radius: [B, (2 radius + 1)^2, h, w]."""
    a, b = (F.normalize(x.float(), dim=1).to(x.dtype) for x in (a, b))
    height, width = a.shape[-2:]
    padded = F.pad(b, (radius,) * 4)
    side = range(2 * radius + 1)
    shifts = (padded[..., dy : dy + height, dx : dx + width] for dy in side for dx in side)
    return torch.stack([(a * shifted).sum(1) for shifted in shifts], dim=1)


def consistency_error(flow: Tensor, back: Tensor) -> Tensor:
    """Length of flow + back(at where it leads), softly bounded: [B, 1, h, w] in 0..1. Zero where both agree."""
    gap = (flow + warp(back, flow)).square().sum(1, keepdim=True)
    return 1 - 1 / (1 + gap)


class MotionContext(nn.Module):
    """What the two ends tell of the instant tau: a draft at 1/4 for the decoder, a condition at 1/16 for the DiT.

    `guess` regresses the posterior's mean from the condition: it trains the condition and serves as a diagnostic.
    """

    def __init__(self, widths: tuple[int, ...], local: int, condition: int, latent: int, keys: int = 32):
        super().__init__()
        _, w4, w8, w16 = widths
        self.null = nn.ParameterList(nn.Parameter(torch.zeros(2, w, 1, 1)) for w in widths)
        self.local = nn.Sequential(conv(3 * w4 + 4 + 2 + 2 + 1, local), Residual(local))
        self.fold_local = conv(local, w8, 2)
        self.key = nn.Conv2d(w8, keys, 1)
        self.search = nn.Sequential(conv((2 * SEARCH_RADIUS + 1) ** 2 + 3 * w8, w16), Residual(w16))
        self.fold_search = conv(w16, w16, 2)
        self.condition = nn.Sequential(conv(3 * w16, condition), Residual(condition), Residual(condition))
        self.guess = nn.Conv2d(condition, latent, 1)

    def fill(self, level: int, features: tuple[Tensor, Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Stand a learned null in for the features of an absent end."""
        null = self.null[level].to(features[0].dtype)
        there = present.to(features[0].dtype)[:, :, None, None, None]
        return tuple(there[:, i] * features[i] + (1 - there[:, i]) * null[i] for i in range(2))

    def draft(self, ends: Ends, tau: Tensor) -> Draft:
        """ends of B pairs, tau [B, K] -> Draft of B*K rows."""
        count = tau.shape[1]
        rows = lambda x: x.repeat_interleave(count, dim=0)  # noqa: E731
        tau, present = tau.flatten(), rows(ends.present)
        flows = project_flow(rows(ends.flow_forward), rows(ends.flow_backward), tau)
        quarter = tuple(rows(f) for f in self.fill(1, ends.features[1], ends.present))
        warped = tuple(warp(f, flow) for f, flow in zip(quarter, flows, strict=True))
        errors = (
            consistency_error(ends.flow_forward, ends.flow_backward),
            consistency_error(ends.flow_backward, ends.flow_forward),
        )
        errors = [warp(rows(error), flow) for error, flow in zip(errors, flows, strict=True)]
        plane = torch.ones_like(flows[0][:, :1])
        told = [x.view(-1, 1, 1, 1) * plane for x in (*present.unbind(1), tau)]
        told = torch.cat((*(flow / 8 for flow in flows), *errors, *told), dim=1)
        local = self.local(torch.cat((*warped, (warped[0] - warped[1]).abs(), told.to(warped[0].dtype)), dim=1))
        return Draft(flows, warped, local, tau, present)

    def forward(self, ends: Ends, draft: Draft) -> Tensor:
        """The condition [B*K, condition, h/16, w/16]."""
        count = draft.tau.shape[0] // ends.present.shape[0]
        warped = []
        for level, factor in ((2, 2), (3, 4)):
            features = self.fill(level, ends.features[level], ends.present)
            for f, flow in zip(features, draft.flows, strict=True):
                warped.append(warp(f.repeat_interleave(count, dim=0), resize_flow(flow, f.shape[-2:])))
        first8, last8, first16, last16 = warped
        match = correlation(self.key(first8), self.key(last8), SEARCH_RADIUS)
        search = self.search(torch.cat((match, first8, last8, self.fold_local(draft.local)), dim=1))
        return self.condition(torch.cat((self.fold_search(search), first16, last16), dim=1))


class Posterior(nn.Module):
    """The true frame and its measured motion, against the draft, at 1/4 -> mean and log-variance of z at 1/16."""

    def __init__(self, w4: int, latent: int):
        super().__init__()
        self.body = nn.Sequential(
            conv(5 * w4 + 8, 64), Residual(64), conv(64, 96, 2), Residual(96), conv(96, 128, 2), Residual(128)
        )
        self.out = nn.Conv2d(128, 2 * latent, 1)
        nn.init.normal_(self.out.weight[:latent], std=0.3)  # the latent starts as a signal,
        nn.init.constant_(self.out.bias[latent:], -4.0)  # not as noise that the decoder learns to ignore

    def forward(self, truth: Tensor, draft: Draft, true_flows: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """truth: 1/4 features of the true frames [B*K, w4, h, w]; true_flows: their measured flows to (first, last).

        An absent end has no measured flow: its correction reads zero."""
        there = draft.present[:, :, None, None, None]
        wanted = [there[:, i] * (true_flows[i] - draft.flows[i]) for i in range(2)]
        flows = torch.cat((*wanted, *(flow / 8 for flow in draft.flows)), dim=1).to(truth.dtype)
        gaps = [(truth - warped).abs() for warped in draft.warped]
        mean, log_variance = self.out(self.body(torch.cat((truth, *draft.warped, *gaps, flows), dim=1))).float().chunk(2, 1)
        return mean, log_variance.clamp(-12, 4)


class MotionDecoder(nn.Module):
    """z and the draft -> flows and mask: a correction of any size from z, then two bounded local refinements.

    Nothing here compares the ends over a neighbourhood: beyond `reach` cells only z can move a pixel.
    """

    reach = 2.0

    def __init__(self, widths: tuple[int, ...], local: int, latent: int, hidden: int = 32):
        super().__init__()
        w2, w4, _, _ = widths
        self.latent = nn.Sequential(conv(latent, 128), Residual(128), Upsample(128, 96), Upsample(96, local))
        self.correct = nn.Sequential(conv(2 * local, 64), Residual(64), conv(64, hidden))
        self.correct_head = silent_head(hidden, 5)
        self.refine4 = nn.Sequential(conv(3 * w4 + hidden + 5, 64), Residual(64), conv(64, hidden))
        self.refine4_head = silent_head(hidden, 5)
        self.refine2 = nn.Sequential(conv(3 * w2 + hidden + 5, 32), Residual(32), conv(32, hidden // 2))
        self.refine2_head = silent_head(hidden // 2, 5)

    def bounded(self, step: Tensor) -> Tensor:
        return torch.cat((self.reach * (step[:, :4] / self.reach).tanh(), step[:, 4:]), dim=1)

    def refine(self, body: nn.Module, head: nn.Module, features: tuple[Tensor, Tensor], state: Tensor, hidden: Tensor):
        """state [*, 5, h, w]: both flows and the mask's logit, float32. Returns the refined state and hidden features."""
        first, last = (warp(f, flow) for f, flow in zip(features, (state[:, :2], state[:, 2:4]), strict=True))
        seen = torch.cat((first, last, (first - last).abs(), hidden, (state / 8).to(first.dtype)), dim=1)
        hidden = body(seen)
        return state + self.bounded(head(hidden).float()), hidden

    def forward(self, z: Tensor, draft: Draft, quarter: tuple[Tensor, Tensor], half: tuple[Tensor, Tensor]) -> Motion:
        """z [B*K, latent, h/16, w/16]; quarter, half: the ends' 1/4 and 1/2 features, one row an in-between frame."""
        hidden = self.correct(torch.cat((self.latent(z), draft.local), dim=1))
        start = torch.cat((*draft.flows, torch.logit((1 - draft.tau).clamp(0.01, 0.99)).view(-1, 1, 1, 1).expand_as(draft.flows[0][:, :1])), 1)
        corrected = start + self.correct_head(hidden).float()
        refined, hidden = self.refine(self.refine4, self.refine4_head, quarter, corrected, hidden)
        doubled = F.interpolate(refined, scale_factor=2, mode="bilinear", align_corners=False)
        doubled = torch.cat((2 * doubled[:, :4], doubled[:, 4:]), dim=1)
        hidden = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
        state, hidden = self.refine(self.refine2, self.refine2_head, half, doubled, hidden)
        stages = [((s[:, :2], s[:, 2:4]), s[:, 4:]) for s in (corrected, refined)]
        return Motion((state[:, :2], state[:, 2:4]), state[:, 4:], hidden, stages)


class Synthesis(nn.Module):
    """Warp both full-size ends, choose between them, and add a residual that vanishes where both agree."""

    def __init__(self, hidden: int = 16, width: int = 32):
        super().__init__()
        self.body = nn.Sequential(conv(28 + hidden, width), Residual(width))
        self.head = silent_head(width, 16)

    def forward(self, motion: Motion, first: Tensor, last: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """first, last: [N, 3, H, W] in 0..1, H and W even; present [N, 2]. Returns the frame, clamped to 0..1, and the
        disagreement of the two warps [N, 1, H, W] in 0..1, weighted by how undecided the mask is."""
        size = first.shape[-2:]
        warped = [
            warp(image, resize_flow(flow, size)) for image, flow in zip((first, last), motion.flows, strict=True)
        ]
        there = present[:, :, None, None, None].to(first.dtype)
        first, last = (there[:, i] * warped[i] + (1 - there[:, i]) * warped[1 - i] for i in range(2))
        mask = F.interpolate(motion.mask, size=size, mode="bilinear", align_corners=False)
        hidden = F.interpolate(motion.hidden, size=(size[0] // 2, size[1] // 2), mode="bilinear", align_corners=False)
        seen = torch.cat((first - 0.5, last - 0.5, (mask / 4).to(first.dtype)), dim=1)
        seen = torch.cat((F.pixel_unshuffle(seen, 2).to(hidden.dtype), hidden), dim=1)
        change = F.pixel_shuffle(self.head(self.body(seen)).float(), 2)
        choice = torch.sigmoid(mask + change[:, 3:])
        gap = (first - last).abs().amax(1, keepdim=True)
        frame = choice * first + (1 - choice) * last + change[:, :3].tanh() * gap
        return frame, gap * 4 * choice * (1 - choice)


class MotionVAE(ModelMixin, ConfigMixin):
    """The five parts, and how they connect. Latents are per in-between frame: [B*K, latent_channels, h/16, w/16].

    latent_mean, latent_variance: per channel, followed during training; `scale` brings z to zero mean, unit deviation.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 12,
        condition_channels: int = 128,
        local_channels: int = 64,
        widths: tuple[int, ...] = (16, 48, 96, 128),
    ):
        super().__init__()
        self.pyramid = FramePyramid(widths)
        self.context = MotionContext(widths, local_channels, condition_channels, latent_channels)
        self.posterior = Posterior(widths[1], latent_channels)
        self.decoder = MotionDecoder(widths, local_channels, latent_channels)
        self.synthesis = Synthesis()
        self.register_buffer("latent_mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("latent_variance", torch.ones(latent_channels, 1, 1))

    def ends(self, first: Tensor, last: Tensor, forward: Tensor, backward: Tensor, present: Tensor) -> Ends:
        """first, last: working-size frames [B, 3, H, W], multiples of 16; flows on the 1/4 grid; present [B, 2]."""
        features = self.pyramid(torch.cat((first, last)))
        return Ends(tuple(f.chunk(2) for f in features), forward.float(), backward.float(), present.float())

    def encode(self, ends: Ends, draft: Draft, frames: Tensor, to_first: Tensor, to_last: Tensor) -> tuple[Tensor, Tensor]:
        """frames: the true ones [B*K, 3, H, W]; to_first, to_last: their measured flows on the 1/4 grid [B*K, 2, h, w].

        Returns mean and log-variance of z."""
        truth = self.pyramid.to_4(self.pyramid.to_2(2 * frames - 1))
        return self.posterior(truth, draft, (to_first.float(), to_last.float()))

    def decode(self, z: Tensor, ends: Ends, draft: Draft) -> Motion:
        count = draft.tau.shape[0] // ends.present.shape[0]
        half, quarter = (
            tuple(f.repeat_interleave(count, dim=0) for f in self.context.fill(level, ends.features[level], ends.present))
            for level in (0, 1)
        )
        return self.decoder(z, draft, quarter, half)

    def end_tokens(self, ends: Ends) -> Tensor:
        """The ends' coarsest features [B, C, 2, h/16, w/16]."""
        return torch.stack(ends.features[3], dim=2)

    @torch.no_grad()
    def follow(self, z: Tensor, momentum: float = 0.998) -> None:
        """Move the running statistics towards those of posterior samples z."""
        mean = z.mean((0, 2, 3))[:, None, None]
        self.latent_mean.lerp_(mean, 1 - momentum)
        self.latent_variance.lerp_((z - self.latent_mean).square().mean((0, 2, 3))[:, None, None], 1 - momentum)

    def scale(self, z: Tensor) -> Tensor:
        return (z - self.latent_mean) / self.latent_variance.sqrt()

    def unscale(self, z: Tensor) -> Tensor:
        return z * self.latent_variance.sqrt() + self.latent_mean


def rows(x: Tensor) -> Tensor:
    """[B, C, K, h, w] -> [B*K, C, h, w]."""
    return rearrange(x, "b c k h w -> (b k) c h w")


def unrows(x: Tensor, batch: int) -> Tensor:
    """[B*K, C, h, w] -> [B, C, K, h, w]."""
    return rearrange(x, "(b k) c h w -> b c k h w", b=batch)
