"""The end of the process: at once, when all is done and said.

Python takes apart every module and every object that is left before it ends. With torch that is seconds of work that
serves nobody, ten and more on a busy machine, and a terminal or a batch would wait for them.
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """What the block ends the process with is its exit code. Threads are waited for, and what others registered with
    atexit since the block began is done, as ever; an error that is no exit is left to Python."""
    codes: list[int] = []
    atexit.register(_leave, codes)  # they are called in reverse: this one last
    try:
        yield
        codes.append(0)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            codes.append(ended.code or 0)
        raise


def _leave(codes: list[int]) -> None:
    if not codes:
        return
    logging.shutdown()  # registered before, and so not called
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # whoever read it is gone: Python says so, and has an exit code of its own
            return
    os._exit(codes[0])
