"""The motion model as what is tuned: rebuilt frames of held-out clips decide, in decibels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidcm.core.errors import WrongUse
from vidcm.core.processes import Processes
from vidcm.data.clips import ClipCache
from vidcm.evaluation.figure import contact_sheet, liveliest
from vidcm.evaluation.report import DECIMALS, HEADINGS
from vidcm.evaluation.windows import spread
from vidcm.finetuning.choosing import COST, choose, chosen_in
from vidcm.finetuning.config import PARTS, USUAL, FinetuneConfig
from vidcm.finetuning.history import START, Judgement, Mark
from vidcm.finetuning.judge import headline, judge, load_interpolator
from vidcm.finetuning.recipe import run_config
from vidcm.finetuning.subject import Subject, Tell
from vidcm.finetuning.windows import held_out, referred, rendered, total
from vidcm.training.config import RunConfig

NOTICED = 0.02  # dB; less is no gain to speak of
FORGOTTEN = 0.1  # dB lost on a reference that the report warns of
ROWS = 6  # of the sheet of samples


class MotionSubject(Subject):
    KEY: ClassVar = "psnr"
    CURVE: ClassVar = "PSNR on the validation clips, dB"
    HEADINGS: ClassVar = HEADINGS
    DECIMALS: ClassVar = DECIMALS
    chosen = frozenset({"settings"})
    LEGEND: ClassVar = (
        "Frames rebuilt in two network steps, means over clips. `val`: the dataset's validation clips, every second "
        "frame rebuilt (2x) or three of four (4x). `rendered`: scenes with known motion, the same for every run. PSNR, "
        "moving dB, SSIM: higher is better; GMSD, flicker, brightness: lower; sharpness: 1 is the truth's."
    )

    def __init__(self, config: FinetuneConfig, cache: ClipCache, start: Path):
        config = replace(config, parts=tuple(part for part in PARTS if part in (config.parts or USUAL)))
        super().__init__(config, cache, start)
        self.parts = config.parts
        if config.objective != FinetuneConfig.objective and "motion" not in self.parts:
            raise WrongUse(
                f"objective {config.objective!r} is of the part motion, and {', '.join(self.parts)} are tuned: leave "
                "it out, or give --parts motion"
            )
        if config.division and "pictures" in self.parts:
            raise WrongUse(
                f"{config.division}: the part pictures is small and stays whole in each process: leave it out, or give "
                "--parts motion"
            )
        self.sets = held_out(cache, config.windows)
        self.training = held_out(cache, config.windows, "train") if "settings" in self.parts else {}
        self.others = {"rendered": rendered()} | referred(config.reference, config.windows)
        self.windows, self.aims = total(self.sets), tuple(self.sets)

    @property
    def looked_at(self) -> str:
        counts = (f"{name} {total({name: clips})}" for name, clips in self.sets.items())
        return f"windows of validation clips: {', '.join(counts)}"

    def run_config(self, part: str, start: str, out: str, steps: int, processes: Processes) -> RunConfig:
        return run_config(part, self.config, self.cache, start, out, steps, processes.count)

    @property
    def choosing(self) -> float:
        return 1 + COST * total(self.training) / self.windows if self.training else 0.0

    @property
    def concluding(self) -> float:
        return 2 * (total(self.others) + ROWS) / self.windows

    def choose(self, part: str, windows: int, start: Path, out: Path, tell: Tell) -> None:
        few = windows < self.config.windows
        sets = held_out(self.cache, windows, "train") if few else self.training
        choose(start, out, sets, self.config.device, tell)

    def judge(self, model: Path, tell: Tell) -> Judgement:
        return judge(load_interpolator(model, self.config.device), self.sets, tell)

    def compare(self, model: Path, tell: Tell) -> Judgement:
        return judge(load_interpolator(model, self.config.device), self.others, tell)

    def headline(self, judgement: Judgement) -> float:
        return headline(judgement)

    def say(self, mark: Mark) -> str:
        return f"{mark.headline:.2f} dB"

    def verdict(self, before: Mark, after: Mark) -> str:
        if after.part == START:
            return (
                "**Nothing gained.** No tuned model did better on the validation clips: `best` is the model as it was."
            )
        gain = after.headline - before.headline
        size = "Hardly anything gained" if gain < NOTICED else "Better"
        return (
            f"**{size}: {gain:+.2f} dB** on the validation clips ({before.headline:.2f} to {after.headline:.2f} dB of "
            f"PSNR, mean of 2x and 4x), {after.part}{f', step {after.step}' if after.step else ''}."
        )

    def forgetting(self, before: Mark, after: Mark) -> list[str]:
        lines = []
        for name in before.scores.keys() - self.sets.keys():
            change = (after.scores[name]["psnr"] or 0.0) - (before.scores[name]["psnr"] or 0.0)
            word = "forgot" if change < -FORGOTTEN else "kept" if change <= FORGOTTEN else "gained"
            lines.append(f"{name}: {change:+.2f} dB, {word}")
        return sorted(lines)

    def notes(self, best: Path) -> list[str]:
        was, now = (chosen_in(model) for model in (self.start, best))
        changed = [f"settings: {name} {was[name]:g} to {now[name]:g}" for name in was if was[name] != now[name]]
        return changed + [
            f"settings: {name} {value:g} was chosen on training clips and turned down on the validation clips, "
            f"{now[name]:g} kept"
            for name, value in self._chosen(best.parent).items()
            if value != now[name]
        ]

    def _chosen(self, run: Path) -> dict[str, float]:
        """What measured best on the training clips; nothing where there was no time for it."""
        found = next(iter(run.glob("*-settings/model")), None)
        return {} if found is None else chosen_in(found)

    def sheet(self, before: Path, after: Path) -> np.ndarray:
        clips = next(iter(self.sets.values()))
        chosen = [clips[i] for i in spread(len(clips), ROWS)]
        shown = {f"clip {n}": liveliest(windows) for n, windows in enumerate(chosen, 1)}
        models: Mapping[str, Path] = {"before": before, "after": after}
        return contact_sheet(
            shown, {name: load_interpolator(model, self.config.device) for name, model in models.items()}
        )

    def use(self, best: Path) -> str:
        return f"vidcm interpolate IN -o OUT --factor 2 --model {best}"

    def facts(self, before: Mark, after: Mark) -> dict[str, float]:
        return {"gain_db": after.headline - before.headline}
