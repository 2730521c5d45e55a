"""Diffusers pipelines: tensors in, tensors out."""

from vidcm.pipelines.confidence import Calibration, calibration_of
from vidcm.pipelines.frame_interpolation import FrameInterpolationOutput, FrameInterpolationPipeline
from vidcm.pipelines.interpolator import as_interpolator

__all__ = ["Calibration", "FrameInterpolationOutput", "FrameInterpolationPipeline", "as_interpolator", "calibration_of"]
