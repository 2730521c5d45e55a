"""What the VideoVAE is trained for, and of which frames the generator is told in training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm.core.photometric import charbonnier, laplacian
from vidcm.models.video_vae import VideoVAE


@dataclass(frozen=True)
class ClipObjective:
    """Weights multiply means over pixels or latent elements."""

    laplacian: float = 0.5
    change: float = 0.5  # difference of neighbouring frames
    kl: float = 1e-4

    def reconstruction(
        self, vae: VideoVAE, clip: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss [B] of clips [B, 3, T, H, W] in 0..1 through a draw from the posterior, and what to log."""
        mean, log_variance = vae.encode(clip)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        z = mean + (0.5 * log_variance).exp() * noise
        vae.follow(z)
        made = vae.decode(z).to(clip.dtype)
        pictures = (x.transpose(1, 2).flatten(0, 1) for x in (made, clip))
        loss = charbonnier(made, clip) + self.laplacian * laplacian(*pictures).view(len(clip), -1).mean(1)
        if clip.shape[2] > 1:
            loss = loss + self.change * (made - clip).diff(dim=2).abs().mean((1, 2, 3, 4))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean((1, 2, 3, 4))
        mse = (made.detach().clamp(0, 1) - clip).square().mean((1, 2, 3, 4))
        psnr = (-10 * mse.clamp(min=1e-8).log10()).mean()
        logs = {"psnr": psnr.item(), "kl": divergence.mean().item(), "z_power": mean.square().mean().item()}
        return loss + self.kl * divergence, logs


KNOWN = {"none": 0.15, "first": 0.4, "ends": 0.3, "some": 0.15}
"""Shares of training samples by the frames that they are told of."""


def draw_known(batch: int, frames: int, generator: torch.Generator) -> Tensor:
    """Which frames of each sample are told: bool [B, T]. `some`: each with a chance that is drawn for the sample."""
    kind = torch.rand(batch, 1, generator=generator, device=generator.device)
    chance = torch.rand(batch, 1, generator=generator, device=generator.device)
    some = torch.rand(batch, frames, generator=generator, device=generator.device) < chance
    first = torch.arange(frames, device=generator.device) == 0
    last = torch.arange(frames, device=generator.device) == frames - 1
    below = torch.tensor(list(KNOWN.values()), device=generator.device).cumsum(0)
    known = torch.where(kind < below[2], first | last, some)
    known = torch.where(kind < below[1], first, known)
    return known & (kind >= below[0])
