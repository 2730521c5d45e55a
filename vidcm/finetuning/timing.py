"""From minutes to steps: a few are timed on this machine, once; from then on the run is a matter of steps alone.

A clock would end two runs of the same seed at different weights; steps do not.
"""

import json
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from vidcm.training.config import RunConfig
from vidcm.training.metrics import say

WARM, TIMED = 3, 5  # steps; the first ones compile
TRIAL = 0.1  # of the time there is, at most, for them
USEFUL = 20  # steps of a part; fewer hardly teach anything
LONGER_S = 3.0  # what is less rounds to no minutes
FEW = 4  # windows; on fewer, what measures best is a matter of luck
CHOOSING, JUDGING = 2 / 3, 1 / 3  # of the time left: what choosing and validations may take where there is training


@dataclass(frozen=True)
class Plan:
    """steps: of all trained parts together; evaluations: of each; windows: that settings are chosen on, 0 for none."""

    steps: int
    evaluations: int
    windows: int


@dataclass(frozen=True)
class Costs:
    """Seconds that things take on this machine. choosing: on all windows, its validation included."""

    judgement: float
    choosing: float = 0.0
    step: float = 0.0
    start: float = 0.0  # of a part, before its first step

    def of(self, plan: Plan, most: Plan, parts: int) -> float:
        """Seconds that a plan takes."""
        trained = parts * (self.start + plan.evaluations * self.judgement) + plan.steps * self.step if parts else 0.0
        return self.choosing * plan.windows / most.windows + trained


def fit(left_s: float, costs: Costs, most: Plan, parts: int) -> Plan:
    """What there is time for, of `most`. parts: how many are trained. What is chosen comes first, for it gains most in
    a minute; where there is training, one step of each part and one validation are the least."""
    least_s = parts * (costs.start + costs.judgement + USEFUL * costs.step)
    windows = 0
    if costs.choosing:
        share_s = min(CHOOSING * left_s, left_s - least_s) if parts else left_s
        windows = max(0, min(most.windows, int(most.windows * share_s / costs.choosing)))
        if windows < min(FEW, most.windows):
            windows = 0 if parts else max(1, windows)
        left_s -= costs.choosing * windows / most.windows
    if not parts:
        return replace(most, windows=windows)
    left_s -= costs.start * parts
    evaluations = max(1, min(most.evaluations, int(left_s * JUDGING / (costs.judgement * parts))))
    return Plan(max(parts, int((left_s - evaluations * parts * costs.judgement) / costs.step)), evaluations, windows)


def told(plan: Plan, most: Plan, parts: int, chosen: Collection[str], over_s: float = 0.0) -> str:
    """A plan in words, and what there is no time for. over_s: what it takes beyond the time there is."""
    few, fewer = plan.steps < USEFUL * parts, bool(chosen) and plan.windows < most.windows
    words = [f"{plan.steps} steps{', too few to teach much' if few else ''}, {plan.evaluations} validations a part"]
    words = words if parts else []
    if fewer:
        how = f"chosen on {plan.windows} windows of {most.windows}" if plan.windows else "left as they are"
        words.append(f"{', '.join(sorted(chosen))} {how}")
    more = ". More minutes have room for more" if few or fewer else ""
    longer = f". That is the least, and takes {over_s / 60:.1f} min longer" if over_s > LONGER_S else ""
    return ("; ".join(words) or "room for all that is asked") + more + longer


def time_steps(
    config: RunConfig, limit_s: float, aside: Path, train: Callable[[RunConfig], object]
) -> tuple[float, float]:
    """Seconds of a step of a training, and those before its first one. aside: a folder for the trial, removed
    afterwards. A trial that takes longer than the limit ends after the step that it is at."""
    count = WARM + TIMED
    say(f"timing {count} steps")
    how = {"minutes": limit_s / 60, "track": (), "log_every": 1, "save_every": count}
    shutil.rmtree(aside, ignore_errors=True)
    began = time.monotonic()
    try:
        train(replace(config, out=str(aside), steps=count, **how))
        lines = (aside / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    clock = [0.0, *(json.loads(line)["seconds"] for line in lines)]
    warm = min(WARM, len(clock) - 2)
    return (clock[-1] - clock[warm]) / (len(clock) - 1 - warm), max(0.0, time.monotonic() - began - clock[-1])
