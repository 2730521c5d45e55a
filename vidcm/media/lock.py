"""One run at a time for one output: a locked file beside it, which goes with the claim."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.core.interrupts import together
from vidcm.core.locks import try_lock


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Raises UserError if another run has claimed `path`. The file beside it that is locked goes with the claim."""
    beside = path.with_name(f".{path.name}.lock")
    handle: int | None = None
    try:
        with together():
            handle = _locked(path, beside)
        yield
    finally:
        with together():
            if handle is not None:
                _let_go(beside, handle)


def _locked(path: Path, beside: Path) -> int:
    """The file beside `path`, open and locked."""
    while True:
        try:
            handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(
                f"{path}: cannot write in {path.parent}: {error.strerror}; write to another folder"
            ) from error
        if not try_lock(handle):
            os.close(handle)
            raise UserError(f"{path}: another run is writing it: wait for that one to end, or write to another file")
        if _is_still_there(beside, handle):
            return handle
        os.close(handle)  # the one who had it took it away between our opening and locking it


def _let_go(beside: Path, handle: int) -> None:
    if sys.platform != "win32":  # gone before it is unlocked, so that nobody claims what is about to go
        beside.unlink(missing_ok=True)
    os.close(handle)
    if sys.platform == "win32":  # where nothing open can be removed
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _is_still_there(beside: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(beside), os.fstat(handle))
    except FileNotFoundError:
        return False
