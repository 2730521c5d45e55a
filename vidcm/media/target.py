"""The place of a file that is not there yet."""

import secrets
from collections.abc import Iterable
from pathlib import Path

from vidcm.core.errors import UserError


def check_target(path: Path, sources: Iterable[Path]) -> None:
    """Raises UserError unless `path` can be a new file, and is none of `sources`."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise UserError(f"{path}: is the input itself; write to another file")


def reserve(path: Path) -> Path:
    """An empty file beside `path`, to be renamed to it."""
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise UserError(f"{path}: cannot write in {path.parent}: {error.strerror}; write to another folder") from error
    return temporary
