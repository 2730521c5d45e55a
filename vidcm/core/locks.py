"""Locks that the system gives back when their holder ends, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcm.core.errors import UserError

FAR = 1 << 30  # Windows keeps others from reading what is locked: a byte behind the end of any of our files


@contextmanager
def held(file: Path, refusal: str) -> Iterator[None]:
    """Hold `file`, which must be there, while the block runs. Raises UserError(refusal) while another process does.

    The file stays behind and means nothing by itself: a killed holder leaves nothing to clean up.
    """
    descriptor = os.open(file, os.O_RDWR)
    try:
        if not try_lock(descriptor):
            raise UserError(refusal)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether this open file is locked now, until it is closed; does not wait."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
