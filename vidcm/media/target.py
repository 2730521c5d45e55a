"""The place of a file that is not there yet."""

from collections.abc import Iterable
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.media.pipes import is_pipe
from vidcm.media.place import check_vacant


def check_target(path: Path, sources: Iterable[Path], journal: Path | None = None) -> None:
    """Raises UserError unless `path` can be a new file, and is none of `sources`. journal: see `check_vacant`."""
    if is_pipe(path):
        return
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    check_vacant(path, journal)
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise UserError(f"{path}: is the input itself; write to another file")
