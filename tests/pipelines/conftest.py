import importlib.util
from pathlib import Path

import pytest
import torch

from vidcm.pipelines import FrameInterpolationPipeline

_spec = importlib.util.spec_from_file_location("tiny_motion", Path(__file__).parents[1] / "families" / "conftest.py")
_tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny)


@pytest.fixture
def pipe() -> FrameInterpolationPipeline:
    family = _tiny.tiny_family()
    pipe = FrameInterpolationPipeline(family.vae, family.dit, family.scheduler, family.teacher)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two frames of an odd size, moving: [1, 3, 75, 97]."""
    base = torch.rand(1, 3, 20, 26, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(base, size=(75, 101), mode="bicubic").clamp(0, 1)
    return picture[..., :97].contiguous(), picture[..., 4:].contiguous()
