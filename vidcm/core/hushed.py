"""Libraries written in C and C++ that tell standard error what their caller is about to tell."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_one = Lock()


@contextmanager
def stderr_shut() -> Iterator[None]:
    """Nothing goes to standard error, from any thread; one block at a time. Where there is none, nothing changes."""
    if sys.stderr is None:
        yield
        return
    with _one:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
