"""A run of fine-tuning: judge, choose, train, keep the best, conclude. It can be killed anywhere, and resumed."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from vidcm.finetuning.best import keep_if_better, mark_of, tidy
from vidcm.finetuning.finished import Found, forget, found_by, write_found
from vidcm.finetuning.history import START, History, Judgement, Mark
from vidcm.finetuning.report import REPORT, write_report
from vidcm.finetuning.settings import Settings, compare
from vidcm.finetuning.subject import Subject, Tell
from vidcm.finetuning.timing import TRIAL, Costs, Plan, fit, time_steps, told
from vidcm.finetuning.together import Leader
from vidcm.training.config import RunConfig
from vidcm.training.divided import place_among
from vidcm.training.loop import Seen
from vidcm.training.metrics import clear, live, say


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


class Tuning:
    """A run under its lock."""

    def __init__(self, run: Path, subject: Subject, settings: Settings, leader: Leader):
        self.run, self.subject, self.settings, self.leader = run, subject, settings, leader
        self.history = History(run / "history.jsonl")
        self.best = run / "best"
        self.began = time.monotonic()

    def go(self, before: Settings | None) -> Tuned:
        tidy(self.run)
        changed = compare(before, self.settings, self.run) if before is not None else []
        ended = found_by(self.run)
        if ended is not None and not changed and mark_of(self.best) is not None:
            more = "more --steps (--minutes), and more --patience where validations gained nothing, would go on with it"
            say(f"{self.run} is finished already, and nothing is left to do; {more}")
            self.settle(before, 0.0)
            return self.tuned(ended)
        forget(self.run)
        if changed:
            say(f"settings changed since the run began: {', '.join(changed)}")
        if before is None:
            self.settings.save(self.run)
        first, judged_s = self.judge_start(before)
        plan = self.settle(before, judged_s)
        for number, part in enumerate(self.subject.parts, 1):
            folder = self.run / f"{number}-{part}"
            if part not in self.subject.chosen:
                self.tune(part, folder, max(1, plan.steps // len(self.subject.trained)))
            elif plan.windows:
                self.choose(part, plan.windows, folder)
        return self.conclude(first)

    def judge_start(self, before: Settings | None) -> tuple[Mark, float]:
        """The mark of the model to be tuned, which is the best one for now, and how long it took where that matters."""
        say(f"{self.subject.looked_at}; the model as it is:")
        began, mark = time.monotonic(), self.history.find(START, 0)
        if mark is None or self.plan_of(before) is None:  # a run killed before it was planned is timed anew
            mark = self.mark(START, 0, self.subject.start)
        judged_s = time.monotonic() - began
        if self.history.find(START, 0) is None:
            self.history.add(mark)
        if mark_of(self.best) is None:
            self.subject.begin(self.best, mark)
        say(f"  {self.subject.say(mark)}")
        return mark, judged_s

    def plan_of(self, before: Settings | None) -> Plan | None:
        """What is done in all; None where that is for the clock to say."""
        config = self.settings.config
        if config.minutes is None:
            return Plan(config.steps, config.evaluations, config.windows)
        return before.plan if before is not None and before.config.minutes == config.minutes else None

    def settle(self, before: Settings | None, judged_s: float) -> Plan:
        """The plan, written down: minutes are timed the first time only."""
        plan = self.plan_of(before) or self.fit(judged_s)
        self.settings = replace(self.settings, **asdict(plan))
        self.settings.save(self.run)
        self.subject.config = replace(self.subject.config, evaluations=plan.evaluations)
        return plan

    def fit(self, judged_s: float) -> Plan:
        """What there is time for in the minutes, after what has been done already."""
        config, subject, trained = self.settings.config, self.subject, self.subject.trained
        seconds = 60 * (config.minutes or 0.0)
        costs = Costs(judged_s, subject.choosing * judged_s)
        if trained:
            timed = self.run_config(trained[0], str(subject.start), "", 1)
            train = partial(self.leader.train, is_told=False)
            step_s, start_s = time_steps(timed, TRIAL * seconds, self.run / ".timing.tmp", train)
            costs = replace(costs, step=step_s, start=start_s)
        left_s = seconds - (time.monotonic() - self.began) - subject.concluding * judged_s
        most = Plan(config.steps, config.evaluations, config.windows)
        plan = fit(left_s, costs, most, len(trained))
        over_s = costs.of(plan, most, len(trained)) - left_s
        say(f"{config.minutes:g} min: {told(plan, most, len(trained), subject.chosen & {*subject.parts}, over_s)}")
        return plan

    def run_config(self, part: str, start: str, out: str, steps: int) -> RunConfig:
        return self.subject.run_config(part, start, out, steps, self.leader.processes)

    def choose(self, part: str, windows: int, folder: Path) -> None:
        """One part that is chosen on training clips, kept where the validation clips bear the choice out."""
        if self.history.find(part, 0) is not None:
            return
        folder.mkdir(exist_ok=True)
        tidy(folder)
        say(f"choosing {part} on training clips")
        self.subject.choose(part, windows, self.subject.start_of(folder, self.best), folder / "model", teller())
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
                gain = mark.headline - self.history.marks[0].headline
                note = ", the best so far" if kept else "" if step else f": turned down, the {part} stay as they were"
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
        took_s = time.monotonic() - self.began
        write_report(self.run, self.settings, subject, before, after, self.history.marks, took_s)
        found = Found(before, after)
        write_found(self.run, found)
        return self.tuned(found)

    def tuned(self, found: Found) -> Tuned:
        """The same in words and numbers."""
        before, after, subject = found.before, found.after, self.subject
        told = (
            subject.verdict(before, after).replace("**", ""),
            *(f"  {x}" for x in (*subject.forgetting(before, after), *subject.notes(self.best))),
        )
        use, facts = subject.use(self.best), subject.facts(before, after)
        return Tuned(self.best, self.run / REPORT, before, after, told, use, facts)


def teller() -> Tell:
    """How far a judgement is, on a terminal."""
    return live if sys.stderr.isatty() else lambda _: None
