"""SIGKILL at any event of a run, while it saves too: the resumed run ends with the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def kill_and_resume(folder: Path, first: int, every: int) -> int:
    command = [sys.executable, "-m", "tests.training.killing", str(folder), str(first), str(every)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=one_thread)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_anywhere_resumes_to_the_same_bits(tmp_path):
    assert kill_and_resume(tmp_path, 1, 11) > 4


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_at_every_single_event_resumes_to_the_same_bits(tmp_path):
    assert kill_and_resume(tmp_path, 0, 1) > 50
