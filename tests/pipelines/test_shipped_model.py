"""The weights in the package: they load, and they interpolate."""

import re
from pathlib import Path
from typing import Any

import torch

from vidcm.metrics.psnr import psnr
from vidcm.pipelines import FrameInterpolationPipeline, as_interpolator, calibration_of


def pan(shift: int) -> torch.Tensor:
    """A smooth random texture, moved: [1, 3, 128, 192]."""
    base = torch.rand(1, 3, 18, 28, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(base, size=(144, 224), mode="bicubic").clamp(0, 1)
    return wide[..., 8:136, 8 + shift : 200 + shift].contiguous()


def test_the_shipped_model_follows_a_motion_that_a_cross_fade_doubles():
    pipe = FrameInterpolationPipeline.from_pretrained()
    first, truth, last = pan(0), pan(6), pan(12)
    made = pipe(first, last, [0.5]).frames[:, :, 0]
    assert psnr(made, truth).item() > psnr((first + last) / 2, truth).item() + 10
    assert pipe.teacher is not None
    assert pipe.scheduler.config.temperature > 0


def test_it_is_sure_of_a_pan_and_not_of_a_cut():
    pipe = FrameInterpolationPipeline.from_pretrained()
    interpolate = as_interpolator(pipe, calibration=calibration_of())
    slow, fast = interpolate(pan(0)[0], pan(4)[0], [0.5]), interpolate(pan(0)[0], pan(0)[0].flip(-1), [0.5])
    assert slow.scores.item() > 0.9
    assert fast.scores.item() < 0.1


def test_its_posterior_knows_more_than_its_draft():
    """The middle frame is not where even motion would put it: only the truth tells."""
    pipe = FrameInterpolationPipeline.from_pretrained()
    first, truth, last = pan(0), pan(9), pan(12)
    near = {
        name: psnr(pipe.reconstruct(first, last, [0.5], name, truth[:, :, None])[:, :, 0], truth).item()
        for name in ("draft", "posterior")
    }
    assert near["posterior"] > near["draft"] + 3


def test_the_example_of_the_readme_runs_as_it_is_pasted():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    there: dict[str, Any] = {}
    exec(code, there)
    assert there["made"].frames.shape == (1, 3, 3, 256, 448)
    assert there["made"].confidence.shape == (1, 1, 3, 256, 448)
