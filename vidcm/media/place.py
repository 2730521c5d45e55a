"""What an output is called while it grows: a hidden file beside it, a hidden folder for numbered pictures.

`reserve` it, have FFmpeg open it under `opened_as`, then `publish` or `discard` it.
"""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.media.pipes import is_pipe
from vidcm.media.sequence import ImageSequence, escaped, pattern_of

BEGUN = "names.begun"  # in a journal: pictures began to take their names, so those that are there are its own


def reserve(path: Path, folder: Path | None = None) -> Path:
    """An empty file, or folder, beside `path` or in `folder`, to be renamed to it."""
    if is_pipe(path):
        return path
    pattern = pattern_of(path)
    name, suffix = (pattern.before, "") if pattern else (path.stem, path.suffix)
    temporary = (folder or path.parent) / f".{name}.{secrets.token_hex(4)}.part{suffix}"
    try:
        temporary.mkdir() if pattern else temporary.touch(exist_ok=False)
    except OSError as error:
        raise UserError(f"{path}: cannot write in {path.parent}: {error.strerror}; write to another folder") from error
    return temporary


def opened_as(path: Path, temporary: Path) -> str:
    """What FFmpeg is to open, so that it takes it for a file whatever it is called."""
    if is_pipe(path):
        return "pipe:1"
    pattern = pattern_of(path)
    return f"file:{escaped(temporary, pattern) if pattern else temporary}"


def publish(path: Path, temporary: Path, journal: Path | None = None) -> None:
    """Give what is whole its name. Pictures take theirs one after the other, in their order.

    A video is on the disk before, so that its name never stands for less than all of it. journal: a folder that
    outlives a failure, where it is noted that pictures began to take their names."""
    if is_pipe(path):
        return
    if pattern_of(path) is None:
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        return
    if journal is not None:
        with (journal / BEGUN).open("wb") as note:
            os.fsync(note.fileno())
    for picture in sorted(temporary.iterdir()):
        os.replace(picture, path.with_name(picture.name))
    temporary.rmdir()


def discard(temporary: Path) -> None:
    """Does nothing where it was published."""
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    elif not is_pipe(temporary):
        with suppress(FileNotFoundError):
            temporary.unlink()


def check_vacant(path: Path, journal: Path | None = None) -> None:
    """Raises UserError where pictures of an earlier run would get mixed up with new ones.

    journal: of the run that is gone on with; those that took their names at its end get them again."""
    pattern = pattern_of(path)
    if pattern is None or not path.parent.is_dir() or (journal is not None and (journal / BEGUN).exists()):
        return
    numbers = pattern.numbers(each.name for each in path.parent.iterdir())
    if numbers:
        raise UserError(
            f"{path}: {len(numbers)} such pictures are there, {pattern.name(numbers[0])} for one: remove them, or "
            "choose another folder"
        )


def first_number(source: Path) -> int:
    """Of the pictures written: that of numbered pictures read, else 1."""
    return source.first if isinstance(source, ImageSequence) else 1
