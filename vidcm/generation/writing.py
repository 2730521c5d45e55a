"""Made frames to a video file: whole or not there."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from vidcm.media.colour import Colour
from vidcm.media.hdr import Hdr
from vidcm.media.info import VideoInfo
from vidcm.media.orientation import Orientation
from vidcm.media.timeline import Clock
from vidcm.media.writer import VideoWriter

BT709 = 1  # primaries and transfer; the matrix is the writer's choice, by size, and tagged


def write_clip(path: Path, frames_THWC: np.ndarray, rate: Fraction) -> None:
    """frames: RGB float32 in 0..1. rate: frames per second. Raises UserError for what cannot be written."""
    count, height, width = frames_THWC.shape[:3]
    with VideoWriter(path, made(width, height, rate, count), rate=rate) as writer:
        for index, frame in enumerate(frames_THWC):
            writer.write(np.ascontiguousarray(frame, np.float32), index / rate, 1 / rate)


def made(width: int, height: int, rate: Fraction, count: int) -> VideoInfo:
    """What a clip says of itself that was read from nowhere."""
    step = 1 / rate
    return VideoInfo(
        path=Path("made"),
        container="none",
        codec="rawvideo",
        width=width,
        height=height,
        orientation=Orientation(),
        sample_aspect=Fraction(1),
        pix_fmt="rgb24",
        bit_depth=8,
        colour=Colour(primaries=BT709, transfer=BT709),
        hdr=Hdr(),
        clock=Clock(Fraction(0), step, is_constant=True),
        average_rate=rate,
        time_base=step,
        start=Fraction(0),
        origin=Fraction(0),
        duration=count * step,
        frame_count=count,
        stream_index=0,
        others=(),
    )
