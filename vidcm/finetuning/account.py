"""What a run did and what can be done next, in a few lines of its report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vidcm.finetuning.history import START, Mark
from vidcm.finetuning.settings import Settings
from vidcm.finetuning.subject import Subject
from vidcm.interpolation.progress import clock_time

NOT_CHOSEN = "left as they are, as there was no time to choose them"


def done(settings: Settings, subject: Subject, marks: Sequence[Mark], took_s: float) -> Iterator[str]:
    """A line for the time, where minutes were asked for, and for each part. took_s: seconds since it last began."""
    if settings.config.minutes is not None:
        yield f"time: {settings.config.minutes:g} min were asked for, {clock_time(took_s)} gone since it last began"
    planned = (settings.steps or settings.config.steps) // max(1, len(subject.trained))
    for part in subject.parts:
        steps = [mark.step for mark in marks if mark.part == part]
        if part in subject.chosen:
            yield f"{part}: " + (f"chosen on {settings.windows} windows of training clips" if steps else NOT_CHOSEN)
        else:
            judged = "1 validation" if len(steps) == 1 else f"{len(steps)} validations"
            yield f"{part}: {max(steps, default=0)} of {max(1, planned)} steps, {judged}"


def best(run: Path, after: Mark) -> str:
    """Which of the models is the best one."""
    if after.part == START:
        return f"`{run / 'best'}` is the model as it was."
    step = f" of step {after.step}" if after.step else ""
    return f"`{run / 'best'}` is the model{step} of the part {after.part}."


def further(run: Path, settings: Settings, marks: Sequence[Mark], after: Mark) -> str:
    """What is worth trying next."""
    if after.part == START:
        return "Next: more footage of this kind, or more time; until then the model as it was serves as well."
    last, config = marks[-1], settings.config
    if not after.step or (after.part, after.step) != (last.part, last.step):
        return "Next: it gained nothing after that, so more footage of this kind will help more than more time."
    more = f"--steps {2 * config.steps}" if config.minutes is None else f"--minutes {2 * config.minutes:g}"
    going_on = f"`vidcm finetune {settings.dataset} -o {run} --resume {more}`"
    return f"Next: it was still gaining when it ended, and {going_on} goes on with it."
