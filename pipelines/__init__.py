"""Diffusers pipelines: tensors in, tensors out."""

from vidcm.pipelines.frame_interpolation import FrameInterpolationOutput, FrameInterpolationPipeline
from vidcm.pipelines.interpolator import as_interpolator

__all__ = ["FrameInterpolationOutput", "FrameInterpolationPipeline", "as_interpolator"]
