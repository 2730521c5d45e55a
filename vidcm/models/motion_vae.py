"""MotionVAE: the latent says how a frame between two ends moves and what it sees; pixels come from the ends.

Everything but the last warp happens at the working size. Grids are named by their fraction of it: 2, 4, 8, 16.

    ends --FramePyramid--> features of each end
    starting flow + features --MotionContext--> draft (1/4), condition (1/16)    what the ends tell; search lives here
    true frame + its measured flows --Posterior--> z (1/16)         training, tuning and evaluation only
    z, draft --MotionDecoder--> flows to both ends, mask (1/2)      corrects, may not search
    flows, full-size ends --Synthesis--> the frame                  full size
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from vidcm.models.acceleration import Beyond
from vidcm.models.instants import repeated
from vidcm.models.layers import Residual, conv
from vidcm.models.motion_code import PARTS, compress, parts, significant, visibility
from vidcm.models.motion_context import Draft, Ends, FramePyramid, MotionContext
from vidcm.models.motion_decoder import Motion, MotionDecoder
from vidcm.models.network import Network, configured
from vidcm.models.synthesis import Synthesis
from vidcm.models.warp import warp

Seen = tuple[Tensor, ...]


class Posterior(nn.Module):
    """The true frame and its measured motion, against the draft, at 1/4 -> mean and log-variance of z at 1/16.

    The first channels start as the mean correction over each cell (see vidcm.models.motion_code): a deep network alone
    did not find its way to it. Motion has a branch of its own for the same reason: among fifty times as many channels
    of appearance it would not be heard.
    """

    def __init__(self, w4: int, latent: int):
        super().__init__()
        self.motion, self.appearance = conv(PARTS + 4, 48), conv(5 * w4, 32)
        self.body = nn.Sequential(
            conv(80, 64), Residual(64), conv(64, 96, 2), Residual(96), conv(96, 128, 2), Residual(128)
        )
        self.out = nn.Conv2d(128, 2 * latent, 1)
        nn.init.zeros_(self.out.weight[:PARTS])
        nn.init.zeros_(self.out.bias[:PARTS])
        nn.init.normal_(self.out.weight[PARTS:latent], std=128**-0.5)  # the latent starts as a signal of unit size,
        nn.init.constant_(self.out.bias[latent:], -4.0)  # not as noise that the decoder learns to ignore

    def forward(self, truth: Tensor, draft: Draft, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """truth: 1/4 features of the true frames [B*K, w4, h, w]; wanted: the correction they ask for, 1/4 grid."""
        doubt = draft.doubt.detach()
        fine = compress(parts(wanted), F.interpolate(doubt, scale_factor=4))
        flows = torch.cat((fine, *((x / 2).asinh() for x in draft.flows)), dim=1)
        gaps = [(truth - warped).abs() for warped in draft.warped]
        appearance = self.appearance(torch.cat((truth, *draft.warped, *gaps), dim=1))
        seen = torch.cat((self.motion(flows.to(truth.dtype)), appearance), dim=1)
        mean, log_variance = self.out(self.body(seen)).float().chunk(2, dim=1)
        code = compress(significant(parts(F.avg_pool2d(wanted, 4))), doubt)
        mean = mean + F.pad(code, (0, 0, 0, 0, 0, mean.shape[1] - PARTS))
        return mean, log_variance.clamp(-12, 4)


class MotionVAE(Network):
    """The five parts, and how they connect. Latents are per in-between frame: [B*K, latent_channels, h/16, w/16].

    latent_mean, latent_variance: per channel, followed during training; `scale` brings z to zero mean, unit deviation.
    finer: how much larger than usual the working size is, see vidcm.families.motion_look.
    """

    @configured
    def __init__(
        self,
        latent_channels: int = 6,
        condition_channels: int = 128,
        local_channels: int = 64,
        widths: tuple[int, ...] = (16, 48, 96, 128),
        finer: float = 1.0,
    ):
        super().__init__()
        if not 1 <= finer <= 2:
            raise ValueError(f"finer must be between 1 and 2, got {finer}")
        if latent_channels < PARTS:
            raise ValueError(f"latent_channels must be at least {PARTS}, the parts of a correction: {latent_channels}")
        self.pyramid = FramePyramid(widths)
        self.context = MotionContext(widths, local_channels, condition_channels, latent_channels)
        self.posterior = Posterior(widths[1], latent_channels)
        self.decoder = MotionDecoder(widths, local_channels, latent_channels)
        self.synthesis = Synthesis()
        self.register_buffer("latent_mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("latent_variance", torch.ones(latent_channels, 1, 1))
        self.register_buffer("latent_batches", torch.zeros(()))

    def see(self, frames: Tensor) -> Seen:
        """What `ends` is told of an end: its features, at 1/2, 1/4, 1/8 and 1/16, and it averaged to the 1/4 grid.

        frames: at working size [B, 3, H, W], multiples of 16."""
        return (*self.pyramid(frames), F.avg_pool2d(frames, 4))

    def ends(self, first: Seen, last: Seen, forward: Tensor, backward: Tensor, present: Tensor, beyond: Beyond) -> Ends:
        """first, last: see `see`; flows on the 1/4 grid [B, 2, h, w]; present [B, 2]."""
        *features, pictures = zip(first, last, strict=True)
        return Ends(tuple(features), pictures, forward.float(), backward.float(), present.float(), beyond)

    def wanted(self, ends: Ends, draft: Draft, frames: Tensor, to_first: Tensor, to_last: Tensor) -> Tensor:
        """What the true frames [B*K, 3, H, W] ask to correct, [B*K, 5, h/4, w/4]: see vidcm.models.motion_code.

        to_first, to_last: their measured flows on the 1/4 grid. Nothing towards an absent end is to be corrected."""
        count = len(frames) // len(ends.present)
        there, true_flows = draft.present[:, :, None, None, None], (to_first.float(), to_last.float())
        flows = [there[:, i] * (true_flows[i] - draft.flows[i]) for i in range(2)]
        pictures = (repeated(x, count) for x in ends.pictures)
        seen = (warp(picture, flow) for picture, flow in zip(pictures, true_flows, strict=True))
        return torch.cat((*flows, there.prod(1) * visibility(F.avg_pool2d(frames, 4), *seen)), dim=1)

    def encode(self, draft: Draft, frames: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, of the true frames [B*K, 3, H, W] and what they ask to correct."""
        truth = self.pyramid.to_4(self.pyramid.to_2(2 * frames - 1))
        return self.posterior(truth, draft, wanted)

    def decode(self, z: Tensor, ends: Ends, draft: Draft) -> Motion:
        count = draft.tau.shape[0] // ends.present.shape[0]
        filled = (self.context.fill(level, ends.features[level], ends.present) for level in (0, 1))
        half, quarter = (tuple(repeated(f, count) for f in pair) for pair in filled)
        return self.decoder(z, draft, quarter, half)

    def end_tokens(self, ends: Ends) -> Tensor:
        """The ends' coarsest features [B, C, 2, h/16, w/16]."""
        return torch.stack(ends.features[3], dim=2)

    @torch.no_grad()
    def follow(self, z: Tensor, memory: int = 500) -> None:
        """Move the running statistics towards those of posterior samples z: a plain average over the first `memory`
        batches, then one that forgets."""
        self.latent_batches += 1
        share = 1 / self.latent_batches.clamp(max=memory)
        self.latent_mean.lerp_(z.mean((0, 2, 3))[:, None, None], share)
        self.latent_variance.lerp_((z - self.latent_mean).square().mean((0, 2, 3))[:, None, None], share)

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
