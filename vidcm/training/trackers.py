"""Trackers of experiments beside metrics.jsonl, through accelerate.

Imports nothing heavy, so that a package that is not there is told at once."""

import importlib.util
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError, WrongUse

PACKAGES = {  # name -> what `pip install` takes, and what is imported
    "tensorboard": ("tensorboard", "tensorboard"),
    "trackio": ("trackio", "trackio"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow"),
    "comet_ml": ("comet_ml", "comet_ml"),
    "aim": ("aim", "aim"),
    "swanlab": ("swanlab", "swanlab"),
}
PROJECT = "vidcm"
CONTINUES = ("wandb", "trackio")  # trackers that go on with a run that is resumed, under its name


def check_trackers(names: Iterable[str]) -> None:
    """Raises UserError for a tracker that is not known, or not installed."""
    for name in names:
        if name not in PACKAGES:
            raise WrongUse(f"unknown tracker {name!r}, known: {', '.join(PACKAGES)}")
        package, module = PACKAGES[name]
        if importlib.util.find_spec(module) is None:
            raise UserError(f"tracker {name} needs a package that is not installed: pip install {package}")


@contextmanager
def tracking(accelerator: Any, names: Iterable[str], out: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """`accelerator.log` reaches the trackers while the block runs. What they keep on disk lies in OUT/track."""
    names = tuple(names)
    if not names:
        yield
        return
    folder = out / "track"
    folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, dict[str, Any]] = {name: {"name": _name(folder, out), "resume": "allow"} for name in CONTINUES}
    options["wandb"] |= {"id": _name(folder, out), "dir": str(folder)}
    accelerator.init_trackers(PROJECT, flat(settings), {name: options.get(name, {}) for name in names})
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
        accelerator.trackers = []


def flat(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Nested settings as trackers take them: one level, names with dots, numbers and text."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{where}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return found


def _name(folder: Path, out: Path) -> str:
    """Of the run, kept beside it, so that a resumed one is the same."""
    file = folder / "name"
    if not file.is_file():
        file.write_text(f"{out.resolve().name}-{uuid.uuid4().hex[:8]}", encoding="utf-8")
    return file.read_text(encoding="utf-8")
