"""How good a model is on fixed sets of windows: the scores of `vidcm evaluate interpolation`, in its two steps."""

from collections.abc import Callable, Mapping
from pathlib import Path

from vidcm.core.devices import present_device
from vidcm.evaluation.baselines import Interpolator
from vidcm.evaluation.score import Scores, average, mean, measure, rebuild
from vidcm.evaluation.windows import Window
from vidcm.finetuning.history import Judgement
from vidcm.finetuning.windows import Set
from vidcm.pipelines.inbetweening import Inbetweener
from vidcm.pipelines.interpolator import as_interpolator

NAME = "vidcm"


def load_interpolator(model: Path, device: str) -> Interpolator:
    """Of a model directory; two steps, at the temperature stored with it, one fixed seed."""
    return as_interpolator(Inbetweener.load(model, present_device(device)))


def judge(
    interpolate: Interpolator, sets: Mapping[str, Set], tell: Callable[[str], None] = lambda _: None
) -> Judgement:
    """Scores by set, means over the windows of a clip, then over clips."""
    found = {}
    for name, clips in sets.items():
        rows = []
        for number, windows in enumerate(clips, 1):
            tell(f"{name}: clip {number}/{len(clips)}")
            rows.append(average([{NAME: _scores(window, interpolate)} for window in windows]))
        found[name] = average(rows)[NAME]
    return found


def headline(judgement: Judgement) -> float:
    """What decides which model is the best: PSNR in dB on the validation clips, the mean over frame rates."""
    return mean(scores["psnr"] for name, scores in judgement.items() if name.startswith("val ")) or float("-inf")


def _scores(window: Window, interpolate: Interpolator) -> Scores:
    return measure(rebuild(window, window.sequence, interpolate, NAME), window.sequence)
