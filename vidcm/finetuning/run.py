"""`vidcm finetune`: a dataset in, a tuned model directory and a report out. Every part of it can be killed and resumed.

RUN/finetune.yaml       settings (vidcm/finetuning/settings.py)
RUN/history.jsonl       what was judged, when
RUN/best/               the best model so far: `vidcm interpolate --model RUN/best`
RUN/<n>-<part>/         the training of a part: checkpoints, metrics, the model it began from
RUN/report.md, *.svg, *.png
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.core.locks import held
from vidcm.data import manifest
from vidcm.data.clips import ClipCache
from vidcm.finetuning.best import copy_model, keep_if_better, mark_of, tidy
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.history import START, History, Mark
from vidcm.finetuning.judge import Judgement, headline, judge, load_interpolator
from vidcm.finetuning.recipe import run_config
from vidcm.finetuning.report import write_report
from vidcm.finetuning.settings import Settings, check_run, clips_digest, compare, is_run
from vidcm.finetuning.timing import LEAST, steps_in
from vidcm.finetuning.windows import Set, held_out, referred, rendered, total
from vidcm.pipelines.frame_interpolation import shipped_model
from vidcm.training.disk import room_in
from vidcm.training.loop import train
from vidcm.training.metrics import clear, live, say


@dataclass(frozen=True)
class Tuned:
    """best: a model directory; before, after: scores by set of the model that was tuned and of the best one."""

    best: Path
    report: Path
    before: Mark
    after: Mark

    @property
    def gain(self) -> float:
        """dB of PSNR on the validation clips; 0 where the model stayed as it was."""
        return self.after.psnr - self.before.psnr


def finetune(
    dataset: Path, run: Path, config: FinetuneConfig | None = None, *, resume: bool = False, **given: Any
) -> Tuned:
    """Tune a motion model on a dataset of `vidcm prepare`, judged on its validation clips before, meanwhile and after.

    given: fields of FinetuneConfig over `config`; a resumed run keeps its own for those that are not given, and says
    which differ. Raises UserError for a dataset or settings that will not do, Interrupted when asked to stop.
    """
    cache = open_dataset(dataset)
    check_run(run, resume)
    before = Settings.load(run) if resume and is_run(run) else None
    if resume and before is None:
        say(f"nothing to resume in {run}: starting")
    base = config or (before.config if before else FinetuneConfig())
    if "steps" in given:
        base = replace(base, minutes=None)
    settings = Settings(replace(base, **given), str(dataset), clips_digest(cache))
    alone()
    sets = held_out(cache, settings.config.windows)
    others = {"rendered": rendered()} | referred(settings.config.reference, settings.config.windows)
    start = Path(settings.config.model) if settings.config.model else shipped_model()
    run_config(settings.config.parts[0], settings.config, cache, str(start), str(run), 1)  # refuses what cannot be
    with ExitStack() as stack:
        stack.enter_context(room_in(run, "go on with --resume"))
        run.mkdir(parents=True, exist_ok=True)
        (run / "lock").touch()
        stack.enter_context(held(run / "lock", f"{run} is in use by another run: wait until it ends, or name another"))
        stack.callback(clear)
        return Tuning(run, cache, settings, sets, others, start).go(before)


def alone() -> None:
    """Raises UserError in one of several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("vidcm finetune runs in one process: start it without torchrun, or use vidcm train with it")


def open_dataset(folder: Path) -> ClipCache:
    """Raises UserError for a folder that `vidcm prepare` has not written."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no dataset: make one with vidcm prepare FOOTAGE -o DATASET")
    if not manifest.is_in(folder) and not (folder / "index.json").is_file():
        raise UserError(f"{folder} is a folder but no dataset: make one with vidcm prepare {folder} -o DATASET")
    cache = ClipCache.open(folder)
    if not cache.clips:
        raise UserError(f"{folder} holds no scene: prepare footage that moves (docs/prepare.md)")
    return cache


class Tuning:
    """A run under its lock."""

    def __init__(
        self,
        run: Path,
        cache: ClipCache,
        settings: Settings,
        sets: dict[str, Set],
        others: dict[str, Set],
        start: Path,
    ):
        self.run, self.cache, self.settings, self.start = run, cache, settings, start
        self.sets, self.others = sets, others  # what decides; what shows how much is forgotten
        self.history = History(run / "history.jsonl")
        self.best = run / "best"
        self.device = settings.config.device

    def go(self, before: Settings | None) -> Tuned:
        tidy(self.run)
        if before is not None and (found := compare(before, self.settings, self.run)):
            say(f"settings changed since the run began: {', '.join(found)}")
        if before is None:
            self.settings.save(self.run)
        first, judged_s = self.judge_start()
        steps = self.settle(before, judged_s)
        parts = self.settings.config.parts
        for number, part in enumerate(parts, 1):
            self.tune(part, self.run / f"{number}-{part}", max(1, steps // len(parts)))
        return self.conclude(first)

    def judge_start(self) -> tuple[Mark, float]:
        """The mark of the model to be tuned, which is the best one for now, and how long it took to judge."""
        say(f"{total(self.sets)} windows of validation clips; the model as it is:")
        began = time.monotonic()
        mark = self.history.find(START, 0)
        if mark is None:
            mark = self.mark(START, 0, self.start)
            self.history.add(mark)
        if mark_of(self.best) is None:
            copy_model(self.start, self.best, mark)
        say(f"  {mark.psnr:.2f} dB")
        return mark, time.monotonic() - began

    def settle(self, before: Settings | None, judged_s: float) -> int:
        """How many steps to train in all, written down once: minutes are timed the first time only."""
        config = self.settings.config
        if config.minutes is None:
            steps = config.steps
        elif before is not None and before.steps is not None and before.config.minutes == config.minutes:
            steps = before.steps
        else:
            timed = run_config(config.parts[0], config, self.cache, str(self.start), "", 1)
            judging_s = judged_s * (1 + config.evaluations * len(config.parts))
            steps = steps_in(max(0.0, 60 * config.minutes - judging_s), timed, self.run / ".timing.tmp")
            note = ", the least that teach anything" if steps <= LEAST else ""
            say(f"{config.minutes:g} minutes are {steps} steps here{note}")
        self.settings = replace(self.settings, steps=steps)
        self.settings.save(self.run)
        return steps

    def tune(self, part: str, folder: Path, steps: int) -> None:
        """One part, from the best model so far, as far as it has not been tuned."""
        start = folder / "start"
        folder.mkdir(exist_ok=True)
        tidy(folder)
        if not start.is_dir():
            copy_model(self.best, start)
        config = run_config(part, self.settings.config, self.cache, str(start), str(folder), steps)
        self.notice(config.data.batch_size)
        say(f"tuning {part}: {steps} steps of {config.data.batch_size} clips, {config.precision}")
        train(config, resume=any((folder / "checkpoints").glob("step-*")), watch=self.watch(part, folder / "model"))

    def notice(self, batch_size: int) -> None:
        scenes = len(self.cache.split("train"))
        if scenes < batch_size:
            say(f"training scenes: {scenes}, for batches of {batch_size}: soon known by heart, more would help")

    def watch(self, part: str, model: Path) -> Callable[[int], bool]:
        """What training calls after each save: judge, keep the best, end where nothing is gained any more."""

        def look(step: int) -> bool:
            self.history.forget_after(part, step)
            mark = self.history.find(part, step)
            if mark is None:
                mark = self.mark(part, step, model)
                kept = keep_if_better(model, self.best, mark)
                self.history.add(mark)
                gain, note = mark.psnr - self.history.marks[0].psnr, ", the best so far" if kept else ""
                say(f"validation after {step} steps: {mark.psnr:.2f} dB ({gain:+.2f}){note}")
            enough = self.history.idle(part) >= self.settings.config.patience
            if enough:
                say(f"{part}: no gain in {self.settings.config.patience} validations, that is enough")
            return enough

        return look

    def mark(self, part: str, step: int, model: Path) -> Mark:
        scores = self.judge(model, self.sets)
        return Mark(part, step, headline(scores), scores)

    def judge(self, model: Path, sets: Mapping[str, Set]) -> Judgement:
        found = judge(load_interpolator(model, self.device), sets, live if sys.stderr.isatty() else lambda _: None)
        clear()
        return found

    def conclude(self, first: Mark) -> Tuned:
        """The best model against the one it came from, also where neither was trained nor validated."""
        best = mark_of(self.best)
        assert best is not None
        say(f"comparing on {', '.join(self.others)}")
        before = replace(first, scores={**first.scores, **self.judge(self.start, self.others)})
        same = best.part == START
        after = replace(best, scores={**best.scores, **(before.scores if same else self.judge(self.best, self.others))})
        report = write_report(
            self.run, self.settings, before, after, self.history.marks, self.interpolators(), self.sets
        )
        return Tuned(self.best, report, before, after)

    def interpolators(self) -> dict[str, Any]:
        return {
            "before": load_interpolator(self.start, self.device),
            "after": load_interpolator(self.best, self.device),
        }
