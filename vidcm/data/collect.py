"""Which files a user means by the folders and files given: each once, with what a manifest.csv says of it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vidcm.core.errors import WrongUse
from vidcm.data.splits import MANIFEST, Entry, caption_beside, list_videos


def collect(footage: Iterable[Path]) -> dict[str, Entry]:
    """Absolute path -> entry, in the order given. A file named by itself has its row of the manifest.csv beside it."""
    found: dict[str, Entry] = {}
    for place in footage:
        for path, entry in _below(place):
            found.setdefault(str(path.resolve()), entry)
    if not found:
        raise WrongUse("no videos given: name folders or video files")
    return found


def _below(place: Path) -> Iterable[tuple[Path, Entry]]:
    if place.is_dir():
        return ((place / entry.file, entry) for entry in list_videos(place))
    if not place.exists():
        raise WrongUse(f"{place} does not exist: check the path")
    if place.name == MANIFEST:  # a shell's `folder/*` names it too
        return ()
    return [(place, _row_of(place))]


def _row_of(path: Path) -> Entry:
    rows = list_videos(path.parent) if (path.parent / MANIFEST).is_file() else []
    mine = [replace(row, file=path.name) for row in rows if (path.parent / row.file).resolve() == path.resolve()]
    return mine[0] if mine else Entry(path.name, caption=caption_beside(path))
