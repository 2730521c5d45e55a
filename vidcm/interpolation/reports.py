"""`--report FILE`: what was done, as JSON, a page to look at (.html) or markers to edit by (.edl, .fcpxml)."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError
from vidcm.interpolation.edl import edl
from vidcm.interpolation.fcpxml import fcpxml
from vidcm.interpolation.ledger import SHOWN, Entry, Ledger
from vidcm.interpolation.page import page
from vidcm.media.place import reserve

Report = Mapping[str, Any]
Writer = Callable[[Report, Ledger], Iterable[str]]


def write_report(path: Path, report: Report, ledger: Ledger) -> None:
    """report: of the whole file, see `stream.Report`. Whole or not at all; by the ending of its name."""
    writer = WRITERS[path.suffix.lower()]
    temporary = reserve(path)
    try:
        with temporary.open("w", encoding="utf-8", errors="replace", newline="\n") as file:  # names may be no UTF-8
            file.writelines(writer(report, ledger))
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def as_json(report: Report, ledger: Ledger) -> Iterator[str]:
    """One object, with `frames` as its last key: a line for each output frame."""
    from vidcm.interpolation.brightness import flicker  # numpy, which wrong use need not wait for

    pulse = flicker(ledger.entries())
    told = {**report, "frames_unsure": ledger.doubtful_count, "flicker": None if pulse is None else round(pulse, 4)}
    yield json.dumps(told, indent=2, allow_nan=False)[:-2] + ',\n  "frames": ['
    before = "\n    "
    for entry in ledger.entries():
        yield before + json.dumps(as_dict(entry), allow_nan=False)
        before = ",\n    "
    yield "\n  ]\n}\n"


def as_dict(entry: Entry) -> dict[str, Any]:
    """instant: seconds, exact and as a number; sources: the source frames it is made of or, one alone, shows."""
    return {
        "index": entry.index,
        "instant": str(entry.instant),
        "instant_s": round(float(entry.instant), 6),
        "sources": [entry.first] if entry.kind in SHOWN else [entry.first, entry.last],
        "tau": str(entry.tau),
        "kind": entry.kind,
        "score": None if entry.score is None else round(entry.score, 4),
        "luma": entry.level,
        "held_at_cut": entry.kind == "cut",
    }


WRITERS: dict[str, Writer] = {".json": as_json, ".html": page, ".htm": page, ".edl": edl, ".fcpxml": fcpxml}
