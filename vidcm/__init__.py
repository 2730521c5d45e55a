"""vidcm: few-step video. Interpolate, generate and tune in two network steps."""

__version__ = "0.1.0"
