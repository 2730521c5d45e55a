"""The smallest family and batches that keep the contract, dropout and a running statistic included."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class TinyVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.Dropout(0.2))
        self.decoder = nn.Conv3d(4, 3, 1)
        self.register_buffer("power", torch.ones(()))


class TinyFamily:
    """noise: strength of the posterior's noise."""

    def __init__(self, vae: nn.Module, dit: nn.Module) -> None:
        self.vae, self.dit, self.teacher, self.noise = vae, dit, None, 0.1

    def without_chance(self) -> "TinyFamily":
        """The loss of the vae stage is a function of the batch alone."""
        self.noise = 0.0
        return self.without_dropout()

    def without_dropout(self) -> "TinyFamily":
        """What is left to chance is drawn from the generator of the step."""
        self.vae.encoder[1].p = self.dit[1].p = 0.0
        return self

    @classmethod
    def create(cls, config: dict[str, Any]) -> "TinyFamily":
        return cls(TinyVAE(), nn.Sequential(nn.Conv3d(8, 4, 1), nn.Dropout(0.1)))

    @classmethod
    def load(cls, folder: str | Path) -> "TinyFamily":
        family = cls.create({})
        family.vae.load_state_dict(load_file(Path(folder) / "vae.safetensors"))
        family.dit.load_state_dict(load_file(Path(folder) / "dit.safetensors"))
        return family

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.vae.state_dict(), folder / "vae.safetensors")
        save_file(self.dit.state_dict(), folder / "dit.safetensors")
        (folder / "parts.json").write_text(json.dumps({"teacher": self.teacher is not None}))

    def modules(self) -> list[nn.Module]:
        return [self.vae, self.dit, *([self.teacher] if self.teacher else [])]

    def to(self, device: Any) -> "TinyFamily":
        for module in self.modules():
            module.to(device)
        return self

    def trainable(self, stage: str) -> nn.Module:
        return {"vae": self.vae, "decoder": self.vae.decoder}.get(stage, self.dit)

    def posterior(self, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        z = self.vae.encoder(batch["frames"]).float()
        return z + self.noise * torch.randn(z.shape, generator=generator, device=z.device)

    def vae_loss(self, batch, *, generator, samples_seen) -> tuple[Tensor, dict[str, float]]:
        z = self.posterior(batch, generator)
        self.vae.power.lerp_(z.detach().square().mean(), 0.1)
        error = (self.vae.decoder(z) - batch["frames"]).square().mean((1, 2, 3, 4))
        return error, {"power": self.vae.power.item(), "seen": float(samples_seen)}

    def decoder_loss(self, batch, *, generator, samples_seen) -> tuple[Tensor, dict[str, float]]:
        with torch.no_grad():
            z = self.posterior(batch, generator)
        return (self.vae.decoder(z) - batch["frames"]).square().mean((1, 2, 3, 4)), {}

    def encode(self, batch, *, generator) -> tuple[Tensor, dict[str, Tensor]]:
        z = self.posterior(batch, generator) / self.vae.power.sqrt()
        return z, {"told": z.mean((3, 4), keepdim=True).expand_as(z), "tau": batch["tau"]}

    def denoiser(self, condition, network=None) -> Callable[[Tensor, Tensor], Tensor]:
        network = network or self.dit

        def f(x: Tensor, angle: Tensor) -> Tensor:
            told = condition["told"] + condition["tau"][:, None, :, None, None]
            return angle.cos() * x + angle.sin() * network(torch.cat((x, told), dim=1))

        return f


class TinyBatches:
    """Sample n of a run is keyed by n alone. before(number) is called first; what it returns spoils the batch."""

    def __init__(self, size: int = 4, rank: int = 0, world: int = 1, before: Callable[[int], Any] = lambda _: None):
        self.size, self.rank, self.world, self.before, self.made = size, rank, world, before, []

    def iterate(self, start: int = 0):
        for number in itertools.count(start):
            spoil = self.before(number)
            self.made.append(number)
            first = (number * self.world + self.rank) * self.size
            samples = [self.sample(first + i, 1 if number % 3 else 2) for i in range(self.size)]
            batch = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
            if spoil is not None:
                batch["frames"][0] = spoil
            yield batch

    @staticmethod
    def sample(number: int, between: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(number)
        frames = torch.rand(3, between, 4, 4, generator=generator)
        return {"frames": frames, "tau": torch.rand(between, generator=generator)}
