"""What an output that is whole says of itself: by what it was made. It is told by an extended attribute of the file, so
that its bytes are what they are, and nothing lies beside it.

Linux has them on nearly every file system; elsewhere, and of a copy, nothing is known.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation.journal import Settings, differences, folder_of, read_head

NAME, FORMAT = "user.vidcm.made", "vidcm output 1"
REPORTS, NOT_GIVEN = "--report", "not given"


def note(target: Path, settings: Settings, reports: Iterable[Path] = ()) -> None:
    """The file is whole; settings: see `journal`; reports: that were written of it. Does nothing where that cannot be
    kept."""
    written = [str(report.absolute()) for report in reports]
    told = {"format": FORMAT, "file": _identity(target), "settings": dict(settings()), "reports": written}
    with suppress(OSError, AttributeError):
        os.setxattr(target, NAME, json.dumps(told).encode())


def is_finished(target: Path, settings: Settings, reports: Iterable[Path] = ()) -> bool:
    """Whether a run with these settings made the file as it is; False where nothing is known, and where another run of
    it is unfinished. Raises UserError where the settings were others, and for a report that was not written with it:
    what it tells of is known while pictures are made."""
    told = None if read_head(folder_of(target)) else _told(target)
    if told is None:
        return False
    written = told.get("reports", ())
    for report in reports:
        if str(report.absolute()) not in written or not report.exists():
            raise UserError(
                f"{target}: nothing of it is unfinished, and --report {report} was not written with it: leave --resume "
                "out to make both"
            )
    before, now = dict(told["settings"]), settings()
    if now.get(REPORTS) == NOT_GIVEN:  # what is not asked for was written, or was not
        before = {**before, REPORTS: NOT_GIVEN}
    if differing := differences(before, now):
        raise UserError(
            f"{target} is finished, and --resume cannot go on with it: {differing}; leave --resume out to make it again"
        )
    return True


def check_without(target: Path, names: Iterable[str], options: Mapping[str, str]) -> None:
    """options: of this run, which gives none of these names. Raises WrongUse where the file is known to have been made
    with one of them."""
    before = dict((_told(target) or {}).get("settings", {}))
    for name in names:
        if before.get(name, options[name]) != options[name]:
            raise WrongUse(
                f"{target}: was made with {name} {before[name]}, --reroll is for outputs made without: make it so first"
            )


def _told(target: Path) -> Mapping[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(os.getxattr(target, NAME))
        fits = told["format"] == FORMAT and told["file"] == _identity(target) and "settings" in told
        return told if fits else None
    except (OSError, AttributeError, ValueError, TypeError, KeyError):
        return None


def _identity(target: Path) -> list[int]:
    """Of the very file: who writes into it leaves the attribute as it is."""
    found = target.stat()
    return [found.st_size, found.st_mtime_ns]
