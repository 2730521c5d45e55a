"""What can be told of a dataset by its folder, before anything heavy is imported."""

from pathlib import Path

from vidcm.core.errors import WrongUse

MANIFEST, OLD_INDEX = "manifest.jsonl", "index.json"


def check_dataset(folder: Path) -> None:
    """Raises WrongUse for a folder that `vidcm prepare` has not written."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no dataset: make one with vidcm prepare FOOTAGE -o DATASET")
    if not any((folder / name).is_file() for name in (MANIFEST, OLD_INDEX)):
        raise WrongUse(f"{folder} is a folder but no dataset: make one with vidcm prepare {folder} -o DATASET")
