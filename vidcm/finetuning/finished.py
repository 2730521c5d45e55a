"""RUN/finished.json: what a run that came to its end found, so that going on with it has nothing to judge again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vidcm.core.aside import write_aside
from vidcm.finetuning.history import Mark

FILE = "finished.json"


@dataclass(frozen=True)
class Found:
    """The model that was tuned, and the best one, with their scores on all that they are compared on."""

    before: Mark
    after: Mark


def write_found(run: Path, found: Found) -> None:
    write_aside(run / FILE, json.dumps(asdict(found), indent=1) + "\n")


def found_by(run: Path) -> Found | None:
    """None where the run has not ended."""
    path = run / FILE
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    return Found(Mark(**told["before"]), Mark(**told["after"]))


def forget(run: Path) -> None:
    """It goes on, as another run than the one that ended."""
    (run / FILE).unlink(missing_ok=True)
