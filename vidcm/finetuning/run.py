"""`vidcm finetune`: a dataset in, a tuned model directory and a report out. Every part of it can be killed and resumed.

RUN/finetune.yaml       settings (vidcm/finetuning/settings.py)
RUN/history.jsonl       what was judged, when
RUN/best/               the best model so far: `vidcm interpolate --model RUN/best`, or `vidcm generate`
RUN/<n>-<part>/         the training of a part: checkpoints, metrics, the model it began from
RUN/report.md, *.svg, *.png
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.core.locks import held
from vidcm.core.resuming import Resume
from vidcm.core.shipped import shipped
from vidcm.data.clips import ClipCache
from vidcm.families.stock import pipeline_of, read_index
from vidcm.finetuning.best import keep_if_better, mark_of, tidy
from vidcm.finetuning.check import check_dataset, check_run
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.history import START, History, Judgement, Mark
from vidcm.finetuning.interpolator import MotionSubject
from vidcm.finetuning.report import write_report
from vidcm.finetuning.settings import Settings, clips_digest, compare
from vidcm.finetuning.subject import Subject, Tell
from vidcm.finetuning.timing import LEAST, steps_in
from vidcm.finetuning.together import Leader, join
from vidcm.training.config import RunConfig
from vidcm.training.disk import room_in
from vidcm.training.divided import check_stage_divided, place_among
from vidcm.training.loop import Seen
from vidcm.training.metrics import clear, live, say

MOTION = "FrameInterpolationPipeline"


@dataclass(frozen=True)
class Tuned:
    """best: a model directory; before, after: scores by set of the model that was tuned and of the best one.

    told: the result in words, line by line; use: the command that uses it; numbers: what it gained, by name."""

    best: Path
    report: Path
    before: Mark
    after: Mark
    told: tuple[str, ...]
    use: str
    numbers: dict[str, float]

    @property
    def gain(self) -> float:
        """dB of PSNR on the validation clips, or what the distance to them fell by; 0 where the model stayed."""
        return self.after.headline - self.before.headline


def finetune(
    dataset: Path, run: Path, config: FinetuneConfig | None = None, *, resume: Resume = False, **given: Any
) -> Tuned:
    """Tune a model on a dataset of `vidcm prepare`, judged on its validation clips before, meanwhile and after.

    given: fields of FinetuneConfig over `config`; a resumed run keeps its own for those that are not given, and says
    which differ. resume "auto": where there is a run, else it begins. In several processes, to be called in all: one
    leads, all train. Raises UserError for a dataset or settings that will not do, Interrupted when asked to stop.
    """
    device = str(given.get("device") or (config or FinetuneConfig()).device)
    tuned: Tuned = join(device, lambda leader: lead(leader, dataset, run, config, resume, given))
    return tuned


def lead(
    leader: Leader, dataset: Path, run: Path, config: FinetuneConfig | None, resume: Resume, given: dict[str, Any]
) -> Tuned:
    cache = open_dataset(dataset)
    before = Settings.load(run) if check_run(run, resume) else None
    base = config or (before.config if before else FinetuneConfig())
    if "steps" in given:
        base = replace(base, minutes=None)
    subject = open_subject(replace(base, **given), cache)
    settings = Settings(subject.config, str(dataset), clips_digest(cache))
    check(subject, leader)
    with ExitStack() as stack:
        stack.enter_context(room_in(run, "go on with --resume"))
        run.mkdir(parents=True, exist_ok=True)
        (run / "lock").touch()
        stack.enter_context(held(run / "lock", f"{run} is in use by another run: wait until it ends, or name another"))
        stack.callback(clear)
        return Tuning(run, subject, settings, leader).go(before)


def check(subject: Subject, leader: Leader) -> None:
    """Raises UserError for a training that cannot be, before anything is judged."""
    for part in subject.trained:
        config = subject.run_config(part, str(subject.start), "", 1, leader.processes)
        check_stage_divided(config)
        place_among(config, 0, leader.processes.count)


def open_subject(config: FinetuneConfig, cache: ClipCache) -> Subject:
    """What kind of model it is, by its directory."""
    start = Path(config.model) if config.model else shipped("motion")
    if pipeline_of(read_index(start)) == MOTION:
        return MotionSubject(config, cache, start)
    from vidcm.finetuning.generator import GeneratorSubject

    return GeneratorSubject(config, cache, start)


def open_dataset(folder: Path) -> ClipCache:
    """Raises UserError for a folder that `vidcm prepare` has not written."""
    check_dataset(folder)
    cache = ClipCache.open(folder)
    if not cache.clips:
        raise UserError(f"{folder} holds no scene: prepare footage that moves (docs/prepare.md)")
    return cache


class Tuning:
    """A run under its lock."""

    def __init__(self, run: Path, subject: Subject, settings: Settings, leader: Leader):
        self.run, self.subject, self.settings, self.leader = run, subject, settings, leader
        self.history = History(run / "history.jsonl")
        self.best = run / "best"

    def go(self, before: Settings | None) -> Tuned:
        tidy(self.run)
        if before is not None and (found := compare(before, self.settings, self.run)):
            say(f"settings changed since the run began: {', '.join(found)}")
        if before is None:
            self.settings.save(self.run)
        first, judged_s = self.judge_start()
        steps = self.settle(before, judged_s)
        for number, part in enumerate(self.subject.parts, 1):
            folder = self.run / f"{number}-{part}"
            if part in self.subject.chosen:
                self.choose(part, folder)
            else:
                self.tune(part, folder, max(1, steps // len(self.subject.trained)))
        return self.conclude(first)

    def judge_start(self) -> tuple[Mark, float]:
        """The mark of the model to be tuned, which is the best one for now, and how long it took to judge."""
        say(f"{self.subject.looked_at}; the model as it is:")
        began = time.monotonic()
        mark = self.history.find(START, 0)
        if mark is None:
            mark = self.mark(START, 0, self.subject.start)
            self.history.add(mark)
        if mark_of(self.best) is None:
            self.subject.begin(self.best, mark)
        say(f"  {self.subject.say(mark)}")
        return mark, time.monotonic() - began

    def settle(self, before: Settings | None, judged_s: float) -> int:
        """How many steps to train in all, written down once: minutes are timed the first time only."""
        config, trained = self.settings.config, self.subject.trained
        if config.minutes is None or not trained:
            steps = config.steps
        elif before is not None and before.steps is not None and before.config.minutes == config.minutes:
            steps = before.steps
        else:
            timed = self.run_config(trained[0], str(self.subject.start), "", 1)
            left_s = max(0.0, 60 * config.minutes - judged_s * self.subject.judgements)
            steps = steps_in(left_s, timed, self.run / ".timing.tmp", self.leader.train)
            note = ", the least that teach anything: it will take longer" if steps <= LEAST else ""
            say(f"{config.minutes:g} min are {steps} steps here{note}")
        self.settings = replace(self.settings, steps=steps)
        self.settings.save(self.run)
        return steps

    def run_config(self, part: str, start: str, out: str, steps: int) -> RunConfig:
        return self.subject.run_config(part, start, out, steps, self.leader.processes)

    def choose(self, part: str, folder: Path) -> None:
        """One part that is chosen on training clips, kept where the validation clips bear the choice out."""
        if self.history.find(part, 0) is not None:
            return
        folder.mkdir(exist_ok=True)
        tidy(folder)
        say(f"choosing {part} on training clips")
        self.subject.choose(part, self.subject.start_of(folder, self.best), folder / "model", teller())
        clear()
        self.watch(part, folder / "model")(0)

    def tune(self, part: str, folder: Path, steps: int) -> None:
        """One part, from the best model so far, as far as it has not been tuned."""
        folder.mkdir(exist_ok=True)
        tidy(folder)
        start = self.subject.start_of(folder, self.best)
        config = self.run_config(part, str(start), str(folder), steps)
        _, groups = place_among(config, 0, self.leader.processes.count)
        clips = config.data.batch_size * config.grad_accumulation * groups
        self.notice(clips)
        say(f"tuning {part}: {steps} steps of {clips} clips, {config.precision}")
        self.leader.train(config, resume="auto", watch=self.watch(part, folder / "model"))

    def notice(self, clips: int) -> None:
        scenes = len(self.subject.cache.split("train"))
        if scenes < clips:
            say(f"training scenes: {scenes}, for batches of {clips}: soon known by heart, more would help")

    def watch(self, part: str, model: Path) -> Callable[[int], Seen]:
        """What training calls after each save: judge, keep the best, end where nothing is gained any more."""

        def look(step: int) -> Seen:
            self.history.forget_after(part, step)
            mark = self.history.find(part, step)
            if mark is None:
                mark = self.mark(part, step, model)
                kept = keep_if_better(model, self.best, mark)
                self.history.add(mark)
                gain, note = mark.headline - self.history.marks[0].headline, ", the best so far" if kept else ""
                when = f"after {step} steps" if step else f"of {part}"
                say(f"validation {when}: {self.subject.say(mark)} ({gain:+.2f}){note}")
            enough = self.history.idle(part) >= self.settings.config.patience
            if enough:
                say(f"{part}: no gain in {self.settings.config.patience} validations, that is enough")
            key = self.subject.KEY
            return Seen(enough, {f"{key}/{name}": scores[key] or 0.0 for name, scores in mark.scores.items()})

        return look

    def mark(self, part: str, step: int, model: Path) -> Mark:
        scores = self.shown(self.subject.judge, model)
        return Mark(part, step, self.subject.headline(scores), scores)

    def shown(self, judge: Callable[[Path, Tell], Judgement], model: Path) -> Judgement:
        found = judge(model, teller())
        clear()
        return found

    def conclude(self, first: Mark) -> Tuned:
        """The best model against the one it came from, also where neither was trained nor validated."""
        best, subject = mark_of(self.best), self.subject
        assert best is not None
        say("comparing with the model as it was")
        before = replace(first, scores={**first.scores, **self.shown(subject.compare, subject.start)})
        others = before.scores if best.part == START else self.shown(subject.compare, self.best)
        after = replace(best, scores={**others, **best.scores})
        after = replace(after, scores={name: after.scores[name] for name in before.scores})
        report = write_report(self.run, self.settings, subject, before, after, self.history.marks)
        told = (
            subject.verdict(before, after).replace("**", ""),
            *(f"  {x}" for x in (*subject.forgetting(before, after), *subject.notes(self.best))),
        )
        return Tuned(self.best, report, before, after, told, subject.use(self.best), subject.facts(before, after))


def teller() -> Tell:
    """How far a judgement is, on a terminal."""
    return live if sys.stderr.isatty() else lambda _: None
