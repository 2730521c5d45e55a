"""RUN/finetune.yaml: what a run was started with, so that it continues as the same run, or says what differs."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from vidcm.core.aside import write_aside
from vidcm.core.errors import WrongUse
from vidcm.data.arrays import text_digest
from vidcm.data.clips import ClipCache
from vidcm.finetuning.check import SETTINGS
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.timing import Plan
from vidcm.settings import as_mapping, from_mapping, read_yaml
from vidcm.training.config import differences

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
    """clips: a hash of the dataset's. steps, evaluations, windows: what is done (vidcm/finetuning/timing.py), once it
    is known what the minutes are."""

    config: FinetuneConfig
    dataset: str
    clips: str
    steps: int | None = None
    evaluations: int | None = None
    windows: int | None = None

    @property
    def plan(self) -> Plan | None:
        """None where it is not settled yet. Of runs that wrote down steps alone, the rest was as asked."""
        if self.steps is None:
            return None
        evaluations, windows = self.evaluations or self.config.evaluations, self.windows
        return Plan(self.steps, evaluations, self.config.windows if windows is None else windows)

    @classmethod
    def load(cls, run: Path) -> "Settings":
        """Raises UserError for a file that is none of ours."""
        found: Settings = from_mapping(cls, read_yaml(run / SETTINGS))
        return replace(found, config=replace(found.config, parts=found.config.parts or parts_begun(run)))

    def save(self, run: Path) -> None:
        write_aside(run / SETTINGS, yaml.safe_dump(as_mapping(self), sort_keys=False))


def parts_begun(run: Path) -> tuple[str, ...]:
    """The parts of a run whose settings name none, as those of before parts were stored: the usual ones when it began,
    by its folders; none where it has come to no part yet."""
    usual = {"1-pictures": ("pictures",), "1-settings": ("settings", "pictures")}
    return next((parts for folder, parts in usual.items() if (run / folder).is_dir()), ())


def clips_digest(cache: ClipCache) -> str:
    """Names the clips of a dataset, their frames, splits and captions."""
    return text_digest(json.dumps(sorted((clip.digest, clip.split, clip.caption) for clip in cache.clips)))


def compare(before: Settings, now: Settings, run: Path) -> list[str]:
    """What differs, `name before -> now` each. Raises UserError where their scores could not be compared."""
    parts = before.config.parts or now.config.parts
    found = differences(asdict(replace(before.config, parts=parts)), asdict(now.config))
    fixed = [line for line in found if line.split()[0] in FIXED]
    fixed += ["the clips of the dataset"] if before.clips != now.clips else []
    if fixed:
        raise WrongUse(
            f"{run} cannot go on with another beginning ({', '.join(fixed)}): keep it, or start a new run, from "
            f"--model {run / 'best'} if its gain should stay"
        )
    return found + ([f"dataset {before.dataset} -> {now.dataset}"] if before.dataset != now.dataset else [])
