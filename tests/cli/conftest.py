"""What the tests of `vidcm interpolate` share."""

from pathlib import Path

import pytest

from .interpolating import write_video


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with random weights, as small as the classes allow."""
    from vidcm.families.motion import MotionFamily

    folder = tmp_path_factory.mktemp("models") / "random"
    small = {"vae": {"widths": (8, 8, 16, 16), "condition_channels": 16, "local_channels": 8, "latent_channels": 6}}
    MotionFamily.create({**small, "dit": {"dim": 48, "depth": 1, "heads": 2}}).save(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_video(tmp_path / "in" / "clip.mp4", 4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A path in an empty folder, which must be empty again after a failure."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "result.mp4"
