"""The folder of a prepared dataset: made once, with settings that stay, worked on by one process at a time.

DATASET/dataset.json      version and settings
DATASET/manifest.jsonl    a line per scene: what training reads (vidcm/data/manifest.py)
DATASET/contact.png       scenes to look at
DATASET/sources/*.json    a file looked at each: its scenes, what was dropped and why
DATASET/frames/*.npy      the frames of a scene each, uint8 RGB [T, H, W, 3]
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.locks import held
from vidcm.data.sources import FRAMES, RECORDS

SETTINGS, SHEET, VERSION = "dataset.json", "contact.png", 1


@dataclass(frozen=True)
class PrepareConfig:
    """What scenes are made of. short_side: pixels that larger frames shrink to; None: as large as they are."""

    short_side: int | None = 320
    min_frames: int = 9  # of a scene: the longest gap that training takes, and one
    val_share: float = 0.1  # of the sources that no manifest.csv decides on

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 64:
            raise WrongUse(f"short_side must be at least 64 pixels, got {self.short_side} (try 320; 0: as it is)")
        if self.min_frames < 3:
            raise WrongUse(f"min_frames must be at least 3, to learn from a scene, got {self.min_frames} (try 9)")
        if not 0 <= self.val_share < 1:
            raise WrongUse(f"val_share must be at least 0 and below 1, got {self.val_share} (try 0.1)")


def check_folder(folder: Path, config: PrepareConfig) -> None:
    """Raises UserError unless folder is a dataset with these settings, or can become one."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is a file: name a folder for the dataset")
    path = folder / SETTINGS
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise WrongUse(f"{folder} holds files that are no dataset of vidcm: name a new folder")
        return
    try:
        stored = json.loads(path.read_text("utf-8"))
        differing = [name for name, value in _settings(config).items() if stored[name] != value]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}): delete {folder} and prepare it again") from error
    if differing:
        was, now = (", ".join(f"{name} {facts[name]}" for name in differing) for facts in (stored, _settings(config)))
        raise WrongUse(f"{folder} was prepared with {was}, now {now}: keep it, or name a new folder")


@contextmanager
def open_folder(folder: Path, config: PrepareConfig) -> Iterator[None]:
    """The dataset's folder, made if it is not there, kept from other processes.

    What fails before it has kept a scene leaves no folder behind; where there are scenes, the next run goes on.
    """
    check_folder(folder, config)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    is_new = not (folder / SETTINGS).is_file()
    if is_new:
        write_aside(folder / SETTINGS, json.dumps(_settings(config)))
    for name in (FRAMES, RECORDS):
        (folder / name).mkdir(exist_ok=True)
    try:
        with held(folder / SETTINGS, f"{folder} is being prepared by another process: wait until it ends"):
            yield
    except BaseException:
        if is_new and not any((folder / FRAMES).iterdir()):
            _remove(folder, made)
        raise


def _remove(folder: Path, made: Sequence[Path]) -> None:
    """A dataset with nothing in it, and of its folders those that were made for it."""
    for name in (FRAMES, RECORDS):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / SETTINGS).unlink(missing_ok=True)
    with suppress(OSError):  # something else was put there
        for place in made:
            place.rmdir()


def _settings(config: PrepareConfig) -> dict:
    """What all scenes of a dataset have in common; the share for validation may change, it only concerns new files."""
    return {"version": VERSION} | {name: value for name, value in asdict(config).items() if name != "val_share"}
