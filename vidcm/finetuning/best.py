"""RUN/best: the model directory that scored highest so far, and beside its weights what it scored."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from vidcm.families.checkpoint import put_in_place
from vidcm.finetuning.history import Mark

FACTS = "tuned.json"


def keep_if_better(model: Path, best: Path, mark: Mark) -> bool:
    """Make a copy of the model directory the best one, as a whole, if its mark is higher than that one's."""
    known = mark_of(best)
    if known is not None and mark.psnr <= known.psnr:
        return False
    copy_model(model, best, mark)
    return True


def copy_model(model: Path, target: Path, mark: Mark | None = None) -> None:
    """A model directory as a whole; what was there before stays until then."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(model, aside, ignore=shutil.ignore_patterns("*.md", FACTS))
        if mark is not None:
            (aside / FACTS).write_text(json.dumps(asdict(mark), indent=1) + "\n", encoding="utf-8")
        put_in_place(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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
