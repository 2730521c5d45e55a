"""From minutes to steps: a few are timed on this machine, once; from then on the run is a matter of steps alone.

A clock would end two runs of the same seed at different weights; steps do not.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vidcm.training.config import RunConfig
from vidcm.training.loop import train
from vidcm.training.metrics import say

WARM, TIMED = 3, 5  # steps; the first ones compile
LEAST = 20


def steps_in(seconds: float, config: RunConfig, aside: Path, train: Callable[[RunConfig], object] = train) -> int:
    """How many steps of a training fit. aside: a folder for the trial, removed afterwards."""
    say(f"timing {WARM + TIMED} steps")
    trial = replace(config, out=str(aside), steps=WARM + TIMED, track=(), log_every=1, save_every=WARM + TIMED)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        train(trial)
        lines = [json.loads(line) for line in (aside / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    step_s = (lines[-1]["seconds"] - lines[WARM - 1]["seconds"]) / TIMED
    return max(LEAST, int(seconds / step_s))
