"""A motion model with one ingredient of its sampler exchanged: the network, the belief, what is drawn."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidcm.core.errors import UserError
from vidcm.models.motion_vae import rows, unrows

Callback = Callable[[Any, int, float, dict[str, Tensor]], dict[str, Tensor]]


class Disbelief(nn.Module):
    """Stands in for vidcm.models.belief.Belief and expects nothing: the draft keeps its even motion, the network's own
    answer stays as it is, and no share is there to draw."""

    def shares(self, hints: Tensor, doubt: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros_like(doubt[:, :1], dtype=torch.float32)
        return nothing.expand(-1, 2, -1, -1), nothing


def disbelieving(vae: Any) -> Any:
    vae = copy.deepcopy(vae)
    vae.context.belief = Disbelief()
    return vae


def exchanged(pipe: Any, *, vae: Any = None, network: Any = None, **sampling: float) -> Any:
    """A pipeline of the same parts but those given; sampling: settings of the scheduler that differ."""
    from vidcm.models.scheduler import ConsistencyScheduler

    stored = {name: value for name, value in pipe.scheduler.config.items() if not name.startswith("_")}
    scheduler = ConsistencyScheduler(**{**stored, **sampling})
    return type(pipe)(vae or pipe.vae, network or pipe.transformer, scheduler, pipe.teacher)


def network_of(folder: Path, pipe: Any) -> Any:
    """The transformer of another model directory, for the VAE of this one.

    Raises UserError where it was not trained on this VAE's latents."""
    from safetensors.torch import load_file

    from vidcm.families.checkpoint import WEIGHTS, load_component
    from vidcm.models.video_dit import VideoDiT

    network = load_component(VideoDiT, folder, "transformer").to(pipe.device)
    theirs = load_file(folder / "vae" / WEIGHTS) if (folder / "vae" / WEIGHTS).is_file() else {}
    for name in ("latent_mean", "latent_variance"):
        ours, other = getattr(pipe.vae, name).cpu(), theirs.get(name)
        if other is None or other.shape != ours.shape or not torch.allclose(other.float(), ours, rtol=0.01, atol=0.01):
            raise UserError(f"{folder}: its transformer was trained on the latents of another VAE than --model's")
    return network


def silent(pipe: Any, step: int, angle: float, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """In place of the network's answer: z = 0, nothing to correct."""
    like = found["latents"]
    return {"latents": unrows(pipe.vae.scale(rows(torch.zeros_like(like))), len(like))}


def unled(seed: int) -> Callback:
    """A second step whose way from the centre is noise, as large as the network's own way in each channel: what is
    left of a sample where the network does not say in which direction, and where."""
    centre = None

    def answer(pipe: Any, step: int, angle: float, found: dict[str, Tensor]) -> dict[str, Tensor]:
        nonlocal centre
        if step == 0:
            centre = found["latents"]
            return found
        way = found["latents"] - centre
        size = way.square().mean((2, 3, 4), keepdim=True).sqrt()
        noise = torch.randn(way.shape, generator=torch.Generator().manual_seed(seed)).to(way.device)
        return {"latents": centre + size * noise}

    return answer
