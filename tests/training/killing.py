"""A tiny run that is killed with SIGKILL at every n-th of its events, and resumed: what is left in the end.

Events are optimizer steps and whatever touches the disk: files written, flushed, renamed, removed. Each run is a child
forked before anything was computed, which costs a tenth of a second where a new process costs three.

    python killing.py FOLDER FIRST EVERY    kills at the events FIRST, FIRST + EVERY, ...
"""

import importlib.util
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from vidcm.settings import from_mapping
from vidcm.training import checkpoint, saving
from vidcm.training.config import RunConfig
from vidcm.training.loop import train
from vidcm.training.metrics import MetricsFile

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

EVENTS = [
    (torch.optim.AdamW, "step"),
    (checkpoint, "save_file"),
    (checkpoint, "_flush"),
    (checkpoint, "_prune"),
    (shutil, "rmtree"),
    (Path, "rename"),
    (Path, "replace"),
    (Path, "write_text"),
    (MetricsFile, "write"),
    (saving, "save_model"),
]


def die_at(event: int) -> None:
    """Kill this process before its `event`-th event, counted from 0; tell how many there were if it lives longer."""
    number = itertools.count()

    def counted(original: Callable) -> Callable:
        def call(*args, **kwargs):
            if next(number) == event:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for owner, name in EVENTS:
        setattr(owner, name, counted(getattr(owner, name)))


def run(out: Path, *, kill: int = -1, resume: bool = False) -> bool:
    """Train in a child. Returns whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.stderr = open(out.with_suffix(".log"), "a")  # noqa: SIM115
            torch.manual_seed(0)
            die_at(kill)
            settings = {"steps": 4, "save_every": 2, "log_every": 1, "keep": 2, "device": "cpu", "precision": "fp32"}
            config = from_mapping(RunConfig, {**settings, "optimizer": {"lr": 0.01, "warmup": 2}, "out": str(out)})
            train(config, family=tiny.TinyFamily.create({}), batches=tiny.TinyBatches(), resume=resume)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run failed: {out.with_suffix('.log').read_text()}")
    return os.WIFEXITED(status)


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
        if not run(out, resume=True, kill=kill + 7):  # once more, elsewhere, if it gets that far
            assert run(out, resume=True)
        if left(out) != expected:
            raise SystemExit(f"killed at event {kill}: other weights than without")
    print(len(list(folder.glob("killed-*"))))
