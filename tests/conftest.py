"""Settings and fixtures for every test."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: spinning threads slow a busy machine


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder with real clips that VIDCM_FOOTAGE names; the test is skipped where there is none."""
    if not (folder := os.environ.get("VIDCM_FOOTAGE")):
        pytest.skip("needs real clips: set VIDCM_FOOTAGE to a folder that holds clips/ and samples/")
    return Path(folder)
