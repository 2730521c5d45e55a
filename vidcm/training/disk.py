"""A full disk, told as what it is and what to do; what was whole before it stays whole."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vidcm.core.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_in(folder: Path, remedy: str) -> Iterator[None]:
    """Raises UserError where the block finds the disk of `folder` full. remedy: what to do after making room."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if not is_full(error):
            raise
        raise UserError(f"no space is left on the disk of {folder}: make room, then {remedy}") from error


def is_full(error: BaseException) -> bool:
    """safetensors writes in Rust, and hands the system's number on in its message alone."""
    number = getattr(error, "errno", None)
    return number in FULL or any(f"(os error {code})" in str(error) for code in FULL)
