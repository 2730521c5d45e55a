"""A tiny motion family, and batches of latents for it whose samples are keyed by their number: runs that divide it.

As a script: python FILE OUT RUNS.json does the runs in the processes that torchrun's environment tells of.
"""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from vidcm.families.motion import MotionFamily
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.divided import place_among
from vidcm.training.loop import train

VAE = {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]}
CLIPS = 4  # in a step, over all processes
BASE = {"steps": 6, "save_every": 2, "log_every": 1, "keep": 10, "device": "cpu", "precision": "fp32", "stage": "ect"}
FRAMES = 3


def family() -> MotionFamily:
    """Nothing in its network is silent."""
    torch.manual_seed(0)
    made = MotionFamily.create({"vae": VAE, "dit": {"dim": 16, "depth": 2, "heads": 2}})
    with torch.no_grad():
        for weight in made.dit.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


class Latents:
    def __init__(self, network: Any, size: int, rank: int, world: int):
        self.seen, self.size, self.rank, self.world = network.config, size, rank, world

    def iterate(self, start: int = 0):
        for number in itertools.count(start):
            first = (number * self.world + self.rank) * self.size
            samples = [self.sample(first + i) for i in range(self.size)]
            condition = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
            yield {"x0": condition.pop("x0"), "condition": condition}

    def sample(self, number: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(number)
        channels = (self.seen.latent_channels, self.seen.condition_channels, self.seen.end_channels)
        names, lengths = ("x0", "condition", "ends"), (FRAMES, FRAMES, 2)
        made = {
            name: torch.randn(count, length, 2, 3, generator=generator)
            for name, count, length in zip(names, channels, lengths, strict=True)
        }
        return {**made, "tau": torch.rand(FRAMES, generator=generator), "present": torch.ones(2)}


def run(out: Path, *, resume: bool = False, until: int = 6, **changes: Any) -> Path:
    """Train in all processes, to the checkpoint of step `until`. Returns the model directory."""
    config = from_mapping(RunConfig, {**BASE, "out": str(out), **changes})
    index, processes = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    rank, world = place_among(config, index, processes)
    model, size = family(), CLIPS // world // config.grad_accumulation
    batches = Latents(model.dit, size, rank, world)
    return train(config, family=model, batches=batches, resume=resume, watch=lambda step: step >= until)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, how in json.loads(sys.argv[2]):
        run(Path(sys.argv[1]) / name, **how)
