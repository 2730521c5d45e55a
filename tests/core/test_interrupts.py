"""Where SIGINT and SIGTERM raise KeyboardInterrupt, and where they have to wait."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGTERM cannot be caught there")

OPENING = """
import signal, sys, time
from vidcm.core.interrupts import IMPORT, interruptible, together
signal.signal(signal.SIGINT, {before})
interruptible()
try:
{body}
    time.sleep(10)
    print("deaf")
except KeyboardInterrupt:
    print("interrupted")
"""
WITHIN_AN_IMPORT = """
    exec(compile("signal.raise_signal(number); print('put off')", IMPORT, "exec"), {"signal": signal, "number": NUMBER})
"""
TOGETHER = """
    with together():
        signal.raise_signal(NUMBER)
        print("put off")
"""
FROM_A_THREAD = """
    from threading import Thread
    here, there = together(), together()
    here.__enter__()
    thread = Thread(target=lambda: (there.__enter__(), time.sleep(0.2), there.__exit__(None, None, None)))
    thread.start()
    time.sleep(0.1)
    here.__exit__(None, None, None)
    thread.join()
    signal.raise_signal(NUMBER)
    print("put off")
"""
IN_A_FINALISER = """
    class Left:
        def __del__(self): signal.raise_signal(NUMBER); print("never here")
    Left()
    print("went on")
"""

IN_A_WAIT = """
    import os, select
    class Left:
        def __del__(self): signal.raise_signal(NUMBER)
    Left()
    started = time.monotonic()
    try:
        select.select([os.pipe()[0]], [], [], 5)  # which nobody writes to
    finally:
        print("at once" if time.monotonic() - started < 4 else "late")
"""


def said(body: str, number: str, before: str = "signal.default_int_handler") -> tuple[list[str], str]:
    code = OPENING.format(before=before, body=body).replace("NUMBER", f"signal.{number}")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.split("\n")[:-1], run.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_it_interrupts_at_once(number: str) -> None:
    assert said("    signal.raise_signal(NUMBER); print('went on')", number) == (["interrupted"], "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_within_an_import_it_waits_until_that_is_at_something_else(number: str) -> None:
    assert said(WITHIN_AN_IMPORT, number) == (["put off", "interrupted"], "")


def test_what_belongs_together_is_not_torn_apart() -> None:
    assert said(TOGETHER, "SIGTERM") == (["put off", "interrupted"], "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_where_nothing_can_be_raised_it_is_raised_afterwards(number: str) -> None:
    assert said(IN_A_FINALISER, number) == (["went on", "interrupted"], "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_what_was_put_off_ends_a_call_that_waits(number: str) -> None:
    """A note to the interpreter alone would be read once that is over."""
    assert said(IN_A_WAIT, number)[0] == ["at once", "interrupted"]


def test_what_a_thread_does_together_holds_nothing_up() -> None:
    assert said(FROM_A_THREAD, "SIGTERM") == (["interrupted"], "")


def test_it_is_the_same_signal_that_is_raised_afterwards() -> None:
    """Where the other one is ignored, too."""
    assert said(IN_A_FINALISER, "SIGTERM", "signal.SIG_IGN") == (["went on", "interrupted"], "")


def test_what_else_cannot_be_raised_is_told_as_ever() -> None:
    broken = IN_A_FINALISER.replace("signal.raise_signal(NUMBER)", "1 / 0")
    out, err = said(broken + "    signal.raise_signal(NUMBER)", "SIGINT")
    assert out == ["went on", "interrupted"]
    assert "ZeroDivisionError" in err


def test_a_signal_that_is_ignored_stays_so() -> None:
    """Of a shell's background job. SIGTERM is heard all the same."""
    body = "    signal.raise_signal(signal.SIGINT); print('went on'); signal.raise_signal(NUMBER)"
    assert said(body, "SIGTERM", "signal.SIG_IGN") == (["went on", "interrupted"], "")
