"""A dataset of three short clips and a model of a few thousand weights: a whole run takes seconds."""

import importlib.util
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidcm.data.clips import Clip, ClipCache
from vidcm.finetuning import windows
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.run import finetune
from vidcm.finetuning.tuning import Tuned

_spec = importlib.util.spec_from_file_location("tiny_motion", Path(__file__).parents[1] / "families" / "conftest.py")
_tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny)

LENGTH = 9


def panning(seed: int, length: int = LENGTH) -> np.ndarray:
    """A camera that pans by three pixels a frame over smooth random colours, uint8 [length, 80, 112, 3]."""
    cells = np.random.default_rng(seed).integers(20, 235, (10, 20, 3), np.uint8)
    ground = cv2.resize(cells, (160, 80), interpolation=cv2.INTER_CUBIC)
    return np.stack([ground[:, 3 * i : 3 * i + 112] for i in range(length)])


def write_dataset(folder: Path, clips: dict[str, tuple[str, np.ndarray]]) -> Path:
    """clips: name -> (split, frames)."""
    folder.mkdir()
    cached = []
    for name, (split, frames) in clips.items():
        np.save(folder / f"{name}.npy", frames)
        instants = tuple(Fraction(i, 25) for i in range(len(frames)))
        cached.append(Clip(name, name, split, name, 0, 0, f"{name}.npy", frames.shape, 0, instants))
    ClipCache(folder, tuple(cached)).save()
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be read, or copied."""
    clips = {name: (split, panning(seed)) for seed, (name, split) in enumerate(SPLITS.items())}
    return write_dataset(tmp_path_factory.mktemp("prepared") / "set", clips)


SPLITS = {"one": "train", "two": "train", "three": "val"}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "model"
    _tiny.tiny_family().save(folder)
    return folder


@pytest.fixture
def config(model: Path, monkeypatch: pytest.MonkeyPatch) -> FinetuneConfig:
    return short(model, monkeypatch)


@pytest.fixture(scope="session")
def tuned(dataset: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """A whole run of `config`, to be read, or copied."""
    with pytest.MonkeyPatch.context() as patch:
        return finetune(dataset, tmp_path_factory.mktemp("tuned") / "run", short(model, patch))


@pytest.fixture
def whole(tuned: Tuned) -> Path:
    return tuned.best.parent


def short(model: Path, patch: pytest.MonkeyPatch) -> FinetuneConfig:
    """Six steps of one part, judged three times on one window a rate; batches of two made in this process."""
    patch.setattr(windows, "RENDERED", 1)
    patch.setattr("vidcm.finetuning.recipe.WORKERS", 0)
    torch.manual_seed(0)
    how = {"parts": ("pictures",), "windows": 1, "batch_size": 2, "device": "cpu", "precision": "fp32"}
    return FinetuneConfig(str(model), steps=6, evaluations=3, patience=9, **how)
