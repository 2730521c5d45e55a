"""What dividing a training step costs: seconds for each clip, by the clock and of all processors together.

    python -m benchmarks.scaling                                             one process
    ACCELERATE_USE_CPU=true torchrun --nproc-per-node 2 -m benchmarks.scaling    two, in each way of dividing

Latents are random, of the shipped motion model's network: ECT, four in-between frames of 8 x 14 places, four clips a
step. Processor seconds tell what dividing costs where the machine has other work too; the clock then tells little.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vidcm.core.processes import launched
from vidcm.families.motion import MotionFamily
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.loop import train
from vidcm.training.start import start_processes

CLIPS, FRAMES, PLACES = 4, 4, (8, 14)
WARM, STEPS = 2, 6  # steps before the clock starts, and until it stops
RUN = {"stage": "ect", "steps": WARM + STEPS, "save_every": 1000, "log_every": 1000, "precision": "fp32"}
WAYS: dict[str, dict[str, Any]] = {
    "clips (DDP)": {},
    "clips, weights in shards": {"shard": True},
    "frames": {"context": 2},
    "frames, weights in shards": {"shard": True, "context": 2},
}


class Timed:
    """Batches of random latents that note when the first and the last of the measured steps begin."""

    def __init__(self, family: MotionFamily, clips: int) -> None:
        self.seen, self.clips = family.dit.config, clips
        self.marks: list[tuple[float, float]] = []

    def iterate(self, start: int = 0) -> Iterator[dict[str, Any]]:
        for number in itertools.count(start):
            if number in (WARM, WARM + STEPS - 1):
                self.marks.append((time.monotonic(), time.process_time()))
            yield self.batch(torch.Generator().manual_seed(number))

    def batch(self, generator: torch.Generator) -> dict[str, Any]:
        def draw(channels: int, frames: int) -> torch.Tensor:
            return torch.randn((self.clips, channels, frames, *PLACES), generator=generator)

        tau = torch.linspace(0, 1, FRAMES + 2)[1:-1].expand(self.clips, -1)
        told = {"condition": draw(self.seen.condition_channels, FRAMES), "ends": draw(self.seen.end_channels, 2)}
        told |= {"tau": tau, "present": torch.ones(self.clips, 2)}
        return {"x0": draw(self.seen.latent_channels, FRAMES), "condition": told}

    def seconds(self) -> tuple[float, float]:
        """By the clock, and of this process's processor, for each clip of the whole step."""
        (begun, busy), (ended, spent) = self.marks
        clips = CLIPS * (STEPS - 1)
        return (ended - begun) / clips, (spent - busy) / clips


def measure(out: Path, how: dict[str, Any]) -> tuple[float, float]:
    processes = launched()
    world = processes.count // how.get("context", 1)
    told = {**RUN, "out": str(out), "device": "cpu", "data": {"batch_size": CLIPS // world}, **how}
    config = from_mapping(RunConfig, told)
    torch.manual_seed(0)
    family = MotionFamily.create({})
    batches = Timed(family, CLIPS // world)
    train(config, family=family, batches=batches)
    return batches.seconds()


def summed(seconds: float) -> float:
    """Over all processes."""
    if launched().count == 1:
        return seconds
    total = torch.tensor(seconds)
    torch.distributed.all_reduce(total)
    return total.item()


def main() -> None:
    torch.set_num_threads(1)
    start_processes(RunConfig(device="cpu"))
    processes = launched()
    ways = WAYS if processes.count > 1 else {"one process": {}}
    with tempfile.TemporaryDirectory() as own:
        out = Path(processes.told(own))
        for name, how in ways.items():
            wall, busy = measure(out / name, how)
            total = summed(busy)
            if processes.is_first:
                print(f"{name:28s} {wall:6.3f} s a clip, {total:6.3f} s of all processors", flush=True)
        processes.wait()


if __name__ == "__main__":
    main()
