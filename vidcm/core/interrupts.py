"""Being asked to end: SIGINT (Ctrl-C) and SIGTERM raise KeyboardInterrupt in the main thread, where that does no harm.

Python raises it between any two instructions. Between those of its own import it can leave the lock of all imports
taken, and every thread that imports from then on waits without end: there it is put off until the import is at
something else. Where nothing can be raised, in a finaliser or a callback of a library written in C, Python says that it
ignores it and goes on: it is raised again.
"""

import _thread
import signal
import sys
from threading import Timer
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
IMPORT = "<frozen importlib._bootstrap>"
AGAIN_S = 0.02


def interruptible() -> None:
    """From now on, for the process. A signal that it was begun to ignore, as shells do in the background, stays
    ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    told = sys.unraisablehook

    def unraisable(ignored: Any) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            _again(signal.SIGINT)
        else:
            told(ignored)

    sys.unraisablehook = unraisable


def _interrupt(number: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_code.co_filename == IMPORT:
        _again(number)
    else:
        raise KeyboardInterrupt


def _again(number: int) -> None:
    timer = Timer(AGAIN_S, _thread.interrupt_main, (number,))
    timer.daemon = True
    timer.start()
