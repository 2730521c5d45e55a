"""A child process that dies by SIGKILL at its n-th event, for scripts that try what a run leaves behind.

The child is forked before anything was computed, which costs a tenth of a second where a new process costs three.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Events = Iterable[tuple[Any, str]]  # owner, and the name of what is called there


def came_to_its_end(work: Callable[[], object], log: Path, events: Events, kill: int) -> bool:
    """Whether a child that does `work` lived through it; it is killed before its `kill`-th event, counted from 0.

    What it says goes to `log`. Ends this process if it failed in another way."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.stderr = open(log, "a")  # noqa: SIM115
            _die_at(kill, events)
            work()
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run failed: {log.read_text()}")
    return os.WIFEXITED(status)


def _die_at(event: int, events: Events) -> None:
    number = itertools.count()

    def counted(original: Callable) -> Callable:
        def call(*args, **kwargs):
            if next(number) == event:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for owner, name in events:
        setattr(owner, name, counted(getattr(owner, name)))
