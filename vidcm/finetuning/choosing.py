"""What of a motion model is chosen for one kind of footage rather than trained: the weights stay as they are.

finer    how fine motion is looked for (vidcm/families/motion_look.py). Small things that move, seen from afar, want it
         finer than large ones that move far; it takes longer, so it has to be worth it
trust    how much of what the network guesses is taken (vidcm/sampling/anchored.py). The shipped value is a compromise:
         the frames around a pair tell what is between where things go on as they moved, and mislead where they do not

Of one after the other, values are tried on windows of the training clips; the best ones are stored with the model.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vidcm.core.devices import present_device
from vidcm.evaluation.baselines import Interpolator
from vidcm.evaluation.score import mean, rebuild
from vidcm.evaluation.windows import Window
from vidcm.families.checkpoint import load_component
from vidcm.finetuning.subject import Tell
from vidcm.finetuning.windows import Set
from vidcm.metrics.psnr import psnr
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines.inbetweening import Inbetweener
from vidcm.pipelines.interpolator import as_interpolator
from vidcm.training.metrics import say

FINER = (1.0, 1.5)
TRUSTS = (0.0, 0.3, 0.6, 0.8, 1.0)
WORTH = 0.05  # dB that a finer look must gain
COST = sum(value**2 for value in FINER) + len(TRUSTS) * FINER[-1] ** 2  # in judgements, at most

Measure = Callable[[], float]


def choose(start: Path, out: Path, sets: Mapping[str, Set], device: str, tell: Tell) -> None:
    """The model directory `start` with what suits the sets best, written to `out` as a whole."""
    pipe = Inbetweener.load(start, present_device(device))

    def measure() -> float:
        return rebuilt_db(as_interpolator(pipe), sets)

    choose_finer(pipe, measure, tell)
    choose_trust(pipe, measure, tell)
    pipe.family.save(out)


def choose_finer(pipe: Inbetweener, measure: Measure, tell: Tell) -> None:
    def use(value: float) -> None:
        pipe.vae.register_to_config(finer=value)

    use(best_of("finer", pipe.vae.config.finer, FINER, use, measure, tell, WORTH))


def choose_trust(pipe: Inbetweener, measure: Measure, tell: Tell) -> None:
    def use(value: float) -> None:
        pipe.scheduler.register_to_config(trust=value)

    use(best_of("trust", pipe.scheduler.config.trust, TRUSTS, use, measure, tell))


def chosen_in(model: Path) -> dict[str, float]:
    """What a model directory has of it. No weights are read."""
    vae = json.loads((model / "vae" / "config.json").read_text(encoding="utf-8"))
    trust = load_component(ConsistencyScheduler, model, "scheduler").config.trust
    return {"finer": vae.get("finer", FINER[0]), "trust": trust}


def best_of(
    name: str,
    present: float,
    values: Iterable[float],
    use: Callable[[float], None],
    measure: Measure,
    tell: Tell,
    worth: float = 0.0,
) -> float:
    """The value in use that measures best; the present one unless another is better by more than `worth`. Says what
    each measured."""
    found = {}
    for value in (present, *(value for value in values if value != present)):
        tell(f"{name} {value:g}")
        use(value)
        found[value] = measure()
    best = max(found, key=lambda value: found[value])
    chosen = best if found[best] > found[present] + worth else present
    measured = ", ".join(f"{value:g} {found[value]:.2f} dB" for value in sorted(found))
    say(f"  {name} {chosen:g} (on training clips: {measured})")
    return chosen


def rebuilt_db(interpolate: Interpolator, sets: Mapping[str, Set]) -> float:
    """PSNR in dB: the mean over the windows of a clip, then over clips, then over sets."""

    def window_db(window: Window) -> float:
        return psnr(rebuild(window, window.sequence, interpolate, "vidcm"), window.truth).mean().item()

    return mean(mean(mean(map(window_db, clip)) for clip in clips) for clips in sets.values()) or 0.0
