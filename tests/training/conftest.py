"""A tiny run, and what is left of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.loop import train

from .tiny import TinyBatches, TinyFamily


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., RunConfig]:
    """config(out="name", ...) -> a run of six steps in a folder of this test."""

    def make(out: str = "run", **changes: Any) -> RunConfig:
        base = {"steps": 6, "log_every": 2, "save_every": 2, "keep": 10, "device": "cpu", "precision": "fp32"}
        plain = {"optimizer": {"lr": 0.01, "warmup": 2}, "ema": {"decay": 0.5}, "out": str(tmp_path / out)}
        return from_mapping(RunConfig, {**base, **plain, **changes})

    return make


@pytest.fixture
def run() -> Callable[..., Path]:
    """run(config, resume=..., batches=..., family=...) -> the model directory; a tiny family keyed by the seed."""

    def go(config: RunConfig, *, batches: Any = None, family: Any = None, **options: Any) -> Path:
        torch.manual_seed(config.seed)
        return train(config, family=family or TinyFamily.create({}), batches=batches or TinyBatches(), **options)

    return go
