"""A tiny run that is killed with SIGKILL at every n-th of its events, and resumed: what is left in the end.

Events are optimizer steps and whatever touches the disk: files written, flushed, renamed, removed.

    python -m tests.training.killing FOLDER FIRST EVERY    kills at the events FIRST, FIRST + EVERY, ...
"""

import itertools
import shutil
import sys
from pathlib import Path

import torch

from tests.killing import came_to_its_end
from tests.training.tiny import TinyBatches, TinyFamily
from vidcm.core.resuming import Resume
from vidcm.settings import from_mapping
from vidcm.training import checkpoint, metrics, saving
from vidcm.training.config import RunConfig
from vidcm.training.loop import train

EVENTS = [
    (torch.optim.AdamW, "step"),
    (checkpoint, "save_file"),
    (checkpoint, "_flush"),
    (checkpoint, "_prune"),
    (shutil, "rmtree"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "write_text"),
    (metrics, "write_aside"),
    (metrics.MetricsFile, "write"),
    (saving, "save_model"),
]


def run(out: Path, *, kill: int = -1, resume: Resume = False) -> bool:
    """Train in a child. Returns whether it came to its end."""

    def work() -> None:
        torch.manual_seed(0)
        settings = {"steps": 4, "save_every": 2, "log_every": 1, "keep": 2, "device": "cpu", "precision": "fp32"}
        config = from_mapping(RunConfig, {**settings, "optimizer": {"lr": 0.01, "warmup": 2}, "out": str(out)})
        train(config, family=TinyFamily.create({}), batches=TinyBatches(), resume=resume)

    return came_to_its_end(work, out.with_suffix(".log"), EVENTS, kill)


def left(out: Path) -> dict[str, bytes]:
    """The weights, averages, moments and model of the end of a run."""
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*.safetensors")}


if __name__ == "__main__":
    folder, first, every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    run(folder / "whole")
    expected = left(folder / "whole")
    for kill in itertools.count(first, every):
        out = folder / f"killed-{kill}"
        if run(out, kill=kill):
            break  # past the last event
        if not run(out, resume="auto", kill=kill + 7):  # once more, elsewhere, if it gets that far
            assert run(out, resume="auto")  # either kill may be before the first checkpoint
        if left(out) != expected:
            raise SystemExit(f"killed at event {kill}: other weights than without")
    print(len(list(folder.glob("killed-*"))))
