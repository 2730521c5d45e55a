"""RUN/finetune.yaml: what a run was started with, so that it continues as the same run, or says what differs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from vidcm.core.errors import WrongUse
from vidcm.data.arrays import text_digest
from vidcm.data.clips import ClipCache
from vidcm.finetuning.config import FinetuneConfig
from vidcm.settings import as_mapping, from_mapping, read_yaml
from vidcm.training.config import differences

NAME = "finetune.yaml"
FIXED = (
    "model",
    "parts",
    "objective",
    "windows",
    "lora",
    "num_frames",
    "size",
    "prompt",
)  # what the marks of a run rest on


@dataclass(frozen=True)
class Settings:
    """clips: a hash of the dataset's. steps: what is trained, once it is known how many the minutes are."""

    config: FinetuneConfig
    dataset: str
    clips: str
    steps: int | None = None

    @classmethod
    def load(cls, run: Path) -> "Settings":
        return from_mapping(cls, read_yaml(run / NAME))

    def save(self, run: Path) -> None:
        aside = run / f"{NAME}.tmp"
        aside.write_text(yaml.safe_dump(as_mapping(self), sort_keys=False), encoding="utf-8")
        aside.replace(run / NAME)


def is_run(run: Path) -> bool:
    return (run / NAME).is_file()


def check_run(run: Path, resume: bool) -> None:
    """Raises UserError unless `run` can become, or go on being, the folder of a run."""
    if run.exists() and not run.is_dir():
        raise WrongUse(f"{run} is a file: name a folder for the run")
    if is_run(run):
        if not resume:
            raise WrongUse(f"{run} holds an earlier run: continue it with --resume, or name a new folder")
    elif run.is_dir() and any(path.name != "lock" for path in run.iterdir()):
        raise WrongUse(f"{run} holds files that are no fine-tuning run: name a new folder")


def clips_digest(cache: ClipCache) -> str:
    """Names the clips of a dataset, their frames, splits and captions."""
    return text_digest(json.dumps(sorted((clip.digest, clip.split, clip.caption) for clip in cache.clips)))


def compare(before: Settings, now: Settings, run: Path) -> list[str]:
    """What differs, `name before -> now` each. Raises UserError where their scores could not be compared."""
    found = differences(asdict(before.config), asdict(now.config))
    fixed = [line for line in found if line.split()[0] in FIXED]
    fixed += ["the clips of the dataset"] if before.clips != now.clips else []
    if fixed:
        raise WrongUse(
            f"{run} cannot go on with another beginning ({', '.join(fixed)}): keep it, or start a new run, from "
            f"--model {run / 'best'} if its gain should stay"
        )
    return found + ([f"dataset {before.dataset} -> {now.dataset}"] if before.dataset != now.dataset else [])
