"""`vidcm finetune`: a dataset in, a tuned model directory and a report out. Every part of it can be killed and resumed.

RUN/finetune.yaml       settings (vidcm/finetuning/settings.py)
RUN/history.jsonl       what was judged, when
RUN/best/               the best model so far: `vidcm interpolate --model RUN/best`, or `vidcm generate`
RUN/<n>-<part>/         the training of a part: checkpoints, metrics, the model it began from
RUN/report.md, *.svg, *.png
RUN/finished.json       what the run found, once it has ended
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.core.locks import held
from vidcm.core.resuming import Resume
from vidcm.core.shipped import shipped
from vidcm.data.clips import ClipCache
from vidcm.families.stock import pipeline_of, read_index
from vidcm.finetuning.check import check_dataset, check_kind, check_run
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.interpolator import MotionSubject
from vidcm.finetuning.settings import Settings, clips_digest
from vidcm.finetuning.subject import Subject
from vidcm.finetuning.together import Leader, join
from vidcm.finetuning.tuning import Tuned, Tuning
from vidcm.training.disk import room_in
from vidcm.training.divided import check_stage_divided, place_among
from vidcm.training.metrics import clear

MOTION = "FrameInterpolationPipeline"


def finetune(
    dataset: Path | str, run: Path | str, config: FinetuneConfig | None = None, *, resume: Resume = False, **given: Any
) -> Tuned:
    """Tune a model on a dataset of `vidcm prepare`, judged on its validation clips before, meanwhile and after.

    given: fields of FinetuneConfig over `config`; a resumed run keeps its own for those that are not given, and says
    which differ. resume "auto": where there is a run, else it begins. In several processes, to be called in all: one
    leads, all train. Raises UserError for a dataset or settings that will not do, Interrupted when asked to stop.
    """
    device = str(given.get("device") or (config or FinetuneConfig()).device)
    tuned: Tuned = join(device, lambda leader: lead(leader, Path(dataset), Path(run), config, resume, given))
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
    check_kind(start, config)
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
