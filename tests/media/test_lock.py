"""Two runs never write one output."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vidcm.core.errors import UserError
from vidcm.media.lock import claimed

HOLD = """
import sys, time
from pathlib import Path
from vidcm.media.lock import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has claimed out.mp4."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out.mp4")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.wait()


def test_what_another_run_writes_is_refused_in_one_line(holder, tmp_path):
    with (
        pytest.raises(UserError, match=r"out\.mp4: another run is writing it: wait") as caught,
        claimed(tmp_path / "out.mp4"),
    ):
        pass
    assert "\n" not in str(caught.value)
    with claimed(tmp_path / "other.mp4"):
        pass


def test_a_run_that_was_killed_blocks_nobody(holder, tmp_path):
    holder.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    holder.wait()
    with claimed(tmp_path / "out.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_claim_ends_with_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "out.mp4"):
        _ = 1 // 0
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path / "out.mp4"):
        assert [file.name for file in tmp_path.iterdir()] == [".out.mp4.lock"]


def test_a_claim_in_the_same_process_counts_too(tmp_path):
    with claimed(tmp_path / "out.mp4"), pytest.raises(UserError, match="another run"), claimed(tmp_path / "out.mp4"):
        pass


def test_a_lock_that_goes_away_between_opening_and_locking_is_taken_anew(tmp_path, monkeypatch):
    import vidcm.media.lock as lock

    tried, real = [], lock.try_lock

    def late(handle):
        if not tried:
            (tmp_path / ".out.mp4.lock").unlink()
        tried.append(handle)
        return real(handle)

    monkeypatch.setattr(lock, "try_lock", late)
    with claimed(tmp_path / "out.mp4"):
        assert (tmp_path / ".out.mp4.lock").exists()
    assert len(tried) == 2


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from vidcm.core.interrupts import interruptible
from vidcm.media import lock
open_file = os.open
def opened(*how):
    handle = open_file(*how)
    signal.raise_signal(signal.SIGTERM)
    return handle
interruptible()
lock.os.open = opened
try:
    with lock.claimed(Path(sys.argv[1])):
        time.sleep(10)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM cannot be caught there")
def test_an_interrupt_while_it_is_taken_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    run = subprocess.run([sys.executable, "-c", INTERRUPTED, target], capture_output=True, text=True)
    assert run.stdout == "interrupted\n", run.stderr
    assert list(tmp_path.iterdir()) == []
