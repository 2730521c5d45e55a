"""RUN/best: the model directory that scored highest so far, and beside its weights what it scored."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from vidcm.core.aside import write_aside
from vidcm.families.checkpoint import written_whole
from vidcm.finetuning.history import Mark
from vidcm.pipelines.confidence import FILE as CALIBRATION

FACTS = "tuned.json"
Copy = Callable[[str, str], str]


def keep_if_better(model: Path, best: Path, mark: Mark) -> bool:
    """Make the model directory the best one, as a whole, if its mark is higher than that one's. Its files are shared
    with it, where the disk can: training replaces them as a whole, too."""
    known = mark_of(best)
    if known is not None and mark.headline <= known.headline:
        return False
    copy_model(model, best, mark, copy=link_or_copy)
    return True


def copy_model(model: Path, target: Path, mark: Mark | None = None, copy: Copy = shutil.copy2) -> None:
    """A model directory as a whole; what was there before stays until then. How far doubt is to be believed, which
    training does not write, is kept from what was there."""
    with written_whole(target) as aside:
        left_out = shutil.ignore_patterns("*.md", FACTS)
        shutil.copytree(model, aside, ignore=left_out, copy_function=copy, dirs_exist_ok=True)
        if (target / CALIBRATION).is_file() and not (aside / CALIBRATION).exists():
            shutil.copy2(target / CALIBRATION, aside)
        if mark is not None:
            write_facts(aside, mark)


def link_or_copy(source: str, target: str) -> str:
    """A second name of the same file; a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def write_facts(model: Path, mark: Mark) -> None:
    write_aside(model / FACTS, json.dumps(asdict(mark), indent=1) + "\n")


def mark_of(best: Path) -> Mark | None:
    """What the best model scored; None where there is no model."""
    path = best / FACTS
    return Mark(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def tidy(folder: Path) -> None:
    """After a killed run: a model that was moved out of the way comes back, halves of copies go."""
    for old in folder.glob(".*.old"):
        name = folder / old.name.removeprefix(".").rsplit(".", 2)[0]
        if name.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, name)
    for aside in folder.glob(".*.tmp"):
        shutil.rmtree(aside, ignore_errors=True)
