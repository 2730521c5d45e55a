"""Being asked to end: SIGINT (Ctrl-C) and SIGTERM raise KeyboardInterrupt in the main thread, where that does no harm.

Python raises it between any two instructions. Between those of its own import it can leave the lock of all imports
taken, and every thread that imports from then on waits without end: there it is put off until the import is at
something else. Where nothing can be raised, in a finaliser or a callback of a library written in C, Python says that it
ignores it and goes on: it is raised again. And where a few steps belong together, `together` puts it off.
"""

import _thread
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
IMPORT = "<frozen importlib._bootstrap>"
AGAIN_S = 0.02

_is_held = False  # whether the main thread is at something that is not to be interrupted
_last: int = signal.SIGINT  # of the signals that came


def interruptible() -> None:
    """From now on, for the process. A signal that it was begun to ignore, as shells do in the background, stays
    ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    told = sys.unraisablehook

    def unraisable(ignored: Any) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            _again(_last)
        else:
            told(ignored)

    sys.unraisablehook = unraisable


@contextmanager
def together() -> Iterator[None]:
    """The block is short, and not interrupted: what comes meanwhile is raised just after it. Without `interruptible`,
    and in other threads, which never are, nothing changes."""
    global _is_held
    if current_thread() is not main_thread():
        yield
        return
    before, _is_held = _is_held, True
    try:
        yield
    finally:
        _is_held = before


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _last
    _last = number
    if _is_held or (frame is not None and frame.f_code.co_filename == IMPORT):
        _again(number)
    else:
        raise KeyboardInterrupt


def _again(number: int) -> None:
    timer = Timer(AGAIN_S, _send, (number,))
    timer.daemon = True
    timer.start()


def _send(number: int) -> None:
    """To the main thread, and out of what it waits for where a system can do that."""
    main = main_thread().ident
    if sys.platform != "win32" and main is not None:
        signal.pthread_kill(main, number)
    else:
        _thread.interrupt_main(signal.Signals(number))
