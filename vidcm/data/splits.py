"""Which clips are trained on and which are kept for validation: decided by source, never by frame or scene.

A `manifest.csv` in the folder decides when there is one. Otherwise a hash of each file's content does, so that copies
of one file stay together and adding files moves none of the others.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vidcm.core.errors import UserError

SPLITS = ("train", "val")
MANIFEST = "manifest.csv"
CAPTION_LIMIT = 4000  # characters; more is a text of another kind
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".ogv", ".wmv"}


@dataclass(frozen=True)
class Entry:
    """One video of a folder. file: path relative to it, with forward slashes. None: not said by the manifest.

    caption: what it shows, from the manifest's column, else from the .txt beside it; empty if neither says.
    """

    file: str
    source: str | None = None
    split: str | None = None
    caption: str = ""


def list_videos(folder: Path) -> list[Entry]:
    """The videos of a folder, in a fixed order: the rows of its manifest.csv, or every video file below it."""
    if not folder.is_dir():
        raise UserError(f"footage folder not found: {folder}")
    manifest = folder / MANIFEST
    entries = _read_manifest(manifest) if manifest.is_file() else _walk(folder)
    if not entries:
        raise UserError(f"no videos in {folder}: expected files such as .mp4, or a manifest.csv with a column `file`")
    return [
        entry if entry.caption else replace(entry, caption=caption_beside(folder / entry.file)) for entry in entries
    ]


def caption_beside(video: Path) -> str:
    """What the .txt of the same name says, in one line; empty without one. Raises UserError for one that is none."""
    path = video.with_suffix(".txt")
    if not path.is_file():
        return ""
    try:
        text = " ".join(path.read_text("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} lies beside {video.name} as its caption and is not UTF-8: convert or move it"
        ) from error
    if len(text) > CAPTION_LIMIT:
        raise UserError(
            f"{path} lies beside {video.name} as its caption and has {len(text)} characters, at most {CAPTION_LIMIT} "
            "are read: shorten or move it"
        )
    return text


def _walk(folder: Path) -> list[Entry]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [Entry(name) for name in sorted(path.relative_to(folder).as_posix() for path in files)]


def _read_manifest(path: Path) -> list[Entry]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if rows and "file" not in rows[0]:
        raise UserError(f"{path} has no column `file` (columns: {', '.join(map(str, rows[0]))})")
    entries = [Entry(row["file"], _source(row), row.get("split") or None, _caption(row)) for row in rows]
    _check(entries, path)
    return entries


def _source(row: Mapping[str, str]) -> str | None:
    """Scenes cut from one video share its source: a column `source`, or `source_repo` and `source_path`."""
    names = ("source",) if row.get("source") else ("source_repo", "source_path")
    parts = [row[name] for name in names if row.get(name)]
    return ":".join(parts) if len(parts) == len(names) else None


def _caption(row: Mapping[str, str]) -> str:
    return " ".join((row.get("caption") or "").split())


def _check(entries: list[Entry], path: Path) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        if entry.split is not None and entry.split not in SPLITS:
            raise UserError(f"{path}: split of {entry.file} is {entry.split!r}, expected one of {', '.join(SPLITS)}")
        for key in {f"file {entry.file}", f"source {entry.source or entry.file}"}:
            other = seen.setdefault(key, entry)
            if key.startswith("file") and other is not entry:
                raise UserError(f"{path} lists {entry.file} twice")
            if other.split != entry.split:
                raise UserError(
                    f"{path}: {other.file} is in {other.split or 'no split'} and {entry.file} in "
                    f"{entry.split or 'no split'}, but both come from {entry.source}: put them in one split"
                )


def assign_split(digest: str, val_share: float = 0.1) -> str:
    """The split of a source that no manifest decides. digest: hexadecimal hash of what identifies the source."""
    return "val" if int(digest[:8], 16) < val_share * 16**8 else "train"
