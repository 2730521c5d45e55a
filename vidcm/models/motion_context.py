"""What two frames tell of an instant between them, without a look at the truth."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidcm.models.acceleration import Beyond, deviation, hints
from vidcm.models.belief import Belief
from vidcm.models.correlation import correlation
from vidcm.models.instants import repeated
from vidcm.models.layers import Residual, conv, joined
from vidcm.models.motion_code import PARTS
from vidcm.models.projection import project_flow
from vidcm.models.warp import resize_flow, warp

CERTAIN = 0.1  # the least doubt: errors below it are noise, and the latent need not write them out
WIDE, NEAR = 4, 3  # cells of the 1/8 and the 1/4 grid: the condition sees residual motion up to 32 pixels


@dataclass
class Ends:
    """What is known of a pair. features: (1/2, 1/4, 1/8, 1/16), each a pair (first, last) of [B, C, h, w];
    pictures: the frames averaged to the 1/4 grid [B, 3, h, w]; flows on it [B, 2, h, w]; present [B, 2] float;
    beyond: the frames next to the pair."""

    features: tuple[tuple[Tensor, Tensor], ...]
    pictures: tuple[Tensor, Tensor]
    flow_forward: Tensor
    flow_backward: Tensor
    present: Tensor
    beyond: Beyond


@dataclass
class Draft:
    """The pair seen from one instant a row, [B*K] rows. flows: starting flows to (first, last), 1/4 grid; warped: the
    1/4 features brought along them; local: their digest [B*K, c, h/4, w/4]; condition: what the DiT sees of it
    [B*K, c, h/16, w/16]; doubt: how large a correction may be expected [B*K, 5, h/16, w/16], see
    vidcm.models.motion_code; strayed: by how much things stray from even motion, as seen from either end, 1/4 grid
    [B*K, 4, h/4, w/4], and hints: a digest of that, see vidcm.models.acceleration; shares: how much of it to believe
    [B*K, 2, h/16, w/16], and hinted: its size, see vidcm.models.belief; tau [B*K]; present [B*K, 2]."""

    flows: tuple[Tensor, Tensor]
    warped: tuple[Tensor, Tensor]
    local: Tensor
    condition: Tensor
    doubt: Tensor
    strayed: Tensor
    hints: Tensor
    shares: Tensor
    hinted: Tensor
    tau: Tensor
    present: Tensor


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


def consistency_error(flow: Tensor, back: Tensor) -> Tensor:
    """Length of flow + back(at where it leads), softly bounded: [B, 1, h, w] in 0..1. Zero where both agree."""
    gap = (flow + warp(back, flow)).square().sum(1, keepdim=True)
    return 1 - 1 / (1 + gap)


class MotionContext(nn.Module):
    """What the two ends tell of the instant tau: a draft at 1/4 for the decoder, a condition at 1/16 for the DiT.

    `guess` regresses the posterior's mean from the condition: it trains the condition and serves as a diagnostic.
    `doubt` says how large a correction of the starting flows may be expected, `belief` which one the hints let expect.
    """

    def __init__(self, widths: tuple[int, ...], local: int, condition: int, latent: int, keys: int = 32):
        super().__init__()
        _, w4, w8, w16 = widths
        self.null = nn.ParameterList(nn.Parameter(torch.zeros(2, w, 1, 1)) for w in widths)
        self.local = nn.Sequential(conv(3 * w4 + 4 + 2 + 2 + 1 + 1, local), Residual(local))
        self.fold_local = conv(local, w8, 2)
        self.key4, self.key8 = nn.Conv2d(w4, keys // 2, 1), nn.Conv2d(w8, keys, 1)
        self.near = conv((2 * NEAR + 1) ** 2, w4, 2)
        self.search = nn.Sequential(conv((2 * WIDE + 1) ** 2 + 3 * w8 + w4, w16), Residual(w16))
        self.fold_search = conv(w16, w16, 2)
        self.condition = nn.Sequential(conv(3 * w16, condition), Residual(condition), Residual(condition))
        self.guess = nn.Conv2d(condition, latent, 1)
        self.doubt = nn.Conv2d(condition, PARTS, 1)
        nn.init.zeros_(self.doubt.weight)
        nn.init.constant_(self.doubt.bias, -1.0)
        self.belief = Belief()

    def fill(self, level: int, features: tuple[Tensor, Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Stand a learned null in for the features of an absent end."""
        to_ask_is_to_wait = present.device.type != "cpu" or torch.compiler.is_compiling()
        if not to_ask_is_to_wait and not torch.is_grad_enabled() and present.all():
            return features  # with gradients not: a null that learns has to have one
        null = self.null[level].to(features[0].dtype)
        there = present.to(features[0].dtype)[:, :, None, None, None]
        return tuple(there[:, i] * features[i] + (1 - there[:, i]) * null[i] for i in range(2))

    def forward(self, ends: Ends, tau: Tensor) -> Draft:
        """ends of B pairs, tau [B, K] -> Draft of B*K rows."""
        count = tau.shape[1]

        def rows(x: Tensor) -> Tensor:
            return repeated(x, count)

        tau, present = tau.flatten(), rows(ends.present)
        pictures = tuple(rows(x) for x in ends.pictures)
        flows, spread = project_flow(rows(ends.flow_forward), rows(ends.flow_backward), tau, pictures)
        quarter = tuple(rows(f) for f in self.fill(1, ends.features[1], ends.present))
        warped = tuple(warp(f, flow) for f, flow in zip(quarter, flows, strict=True))
        errors = (
            consistency_error(ends.flow_forward, ends.flow_backward),
            consistency_error(ends.flow_backward, ends.flow_forward),
        )
        errors = [warp(rows(error), flow) for error, flow in zip(errors, flows, strict=True)]
        plane = torch.ones_like(spread)
        told = [x.view(-1, 1, 1, 1) * plane for x in (*present.unbind(1), tau)]
        told = torch.cat((*(flow / 8 for flow in flows), spread / 2, *errors, *told), dim=1)
        local = self.local(joined(*warped, (warped[0] - warped[1]).abs(), told.to(warped[0].dtype)))
        condition = self.look(ends, flows, warped, local)
        doubt = CERTAIN + self.doubt(condition).float().clamp(-5, 3).exp()
        across = (ends.flow_forward, ends.flow_backward)
        strayed, misfits = deviation(ends.beyond, ends.pictures, across, flows, tau)
        told = hints(strayed, misfits, rows(ends.beyond.present), doubt.detach())
        believed = self.belief.shares(told, doubt.detach(), tau)
        return Draft(flows, warped, local, condition, doubt, strayed, told, *believed, tau, present)

    def look(self, ends: Ends, flows: tuple[Tensor, Tensor], quarter: tuple[Tensor, Tensor], local: Tensor) -> Tensor:
        """The condition [B*K, condition, h/16, w/16]: the only place that compares the ends over a neighbourhood."""
        count = len(local) // len(ends.present)
        warped = []
        for level in (2, 3):
            features = self.fill(level, ends.features[level], ends.present)
            for f, flow in zip(features, flows, strict=True):
                warped.append(warp(repeated(f, count), resize_flow(flow, f.shape[-2:])))
        first8, last8, first16, last16 = warped
        near = self.near(correlation(*(self.key4(f) for f in quarter), NEAR))
        wide = correlation(self.key8(first8), self.key8(last8), WIDE)
        search = self.search(joined(wide, near, first8, last8, self.fold_local(local)))
        return self.condition(joined(self.fold_search(search), first16, last16))
