"""Diffusers pipelines: tensors in, tensors out."""

from vidcm.pipelines.confidence import Calibration, calibration_of
from vidcm.pipelines.frame_interpolation import FrameInterpolationOutput, FrameInterpolationPipeline
from vidcm.pipelines.interpolator import as_interpolator
from vidcm.pipelines.video_generation import VideoGenerationOutput, VideoGenerationPipeline

__all__ = [
    "Calibration",
    "FrameInterpolationOutput",
    "FrameInterpolationPipeline",
    "VideoGenerationOutput",
    "VideoGenerationPipeline",
    "as_interpolator",
    "calibration_of",
]
