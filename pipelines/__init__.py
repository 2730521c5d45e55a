"""Pipelines: tensors in, tensors out. Those of diffusers are imported when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vidcm.pipelines.confidence import Calibration, calibration_of
from vidcm.pipelines.inbetweening import Inbetweener
from vidcm.pipelines.interpolator import as_interpolator

if TYPE_CHECKING:
    from vidcm.pipelines.frame_interpolation import FrameInterpolationOutput, FrameInterpolationPipeline
    from vidcm.pipelines.video_generation import VideoGenerationOutput, VideoGenerationPipeline

__all__ = [
    "Calibration",
    "FrameInterpolationOutput",
    "FrameInterpolationPipeline",
    "Inbetweener",
    "VideoGenerationOutput",
    "VideoGenerationPipeline",
    "as_interpolator",
    "calibration_of",
]

OF_DIFFUSERS = {
    "FrameInterpolationOutput": "frame_interpolation",
    "FrameInterpolationPipeline": "frame_interpolation",
    "VideoGenerationOutput": "video_generation",
    "VideoGenerationPipeline": "video_generation",
}


def __getattr__(name: str) -> Any:
    if name not in OF_DIFFUSERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{OF_DIFFUSERS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
