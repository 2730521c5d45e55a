"""One process at a time in a folder: a lock that the system gives back when its holder ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcm.core.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: nobody keeps a second process out
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(file: Path, refusal: str) -> Iterator[None]:
    """Hold `file`, which must be there, while the block runs. Raises UserError(refusal) while another process does.

    The file stays behind and means nothing by itself: a killed holder leaves nothing to clean up.
    """
    descriptor = os.open(file, os.O_RDWR)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(refusal) from None
        yield
    finally:
        os.close(descriptor)
