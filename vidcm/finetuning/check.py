"""What can be told of a dataset and of a run by their folders, before anything heavy is imported."""

from pathlib import Path

from vidcm.core.errors import WrongUse
from vidcm.core.resuming import Resume, goes_on

MANIFEST, OLD_INDEX = "manifest.jsonl", "index.json"
SETTINGS = "finetune.yaml"  # of a run


def check_dataset(folder: Path) -> None:
    """Raises WrongUse for a folder that `vidcm prepare` has not written."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no dataset: make one with vidcm prepare FOOTAGE -o DATASET")
    if not any((folder / name).is_file() for name in (MANIFEST, OLD_INDEX)):
        raise WrongUse(f"{folder} is a folder but no dataset: make one with vidcm prepare {folder} -o DATASET")


def check_run(run: Path, resume: Resume) -> bool:
    """Whether the run in the folder goes on. Raises WrongUse unless it can, or the folder can become that of a run."""
    if run.exists() and not run.is_dir():
        raise WrongUse(f"{run} is a file: name a folder for the run")
    begun = (run / SETTINGS).is_file()
    if begun and not resume:
        raise WrongUse(f"{run} holds an earlier run: continue it with --resume, or name a new folder")
    if not begun and run.is_dir() and any(path.name != "lock" for path in run.iterdir()):
        raise WrongUse(f"{run} holds files that are no fine-tuning run: name a new folder")
    return goes_on(resume, begun, run)
