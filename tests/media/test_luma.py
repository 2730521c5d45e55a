"""Luma and colour as they are coded, of every kind of frame."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vidcm.media.luma import chroma_of, luma_of
from vidcm.media.reader import VideoFrame


def picture() -> np.ndarray:
    """uint8 RGB [H, W, 3]: four colours."""
    shown = np.zeros((32, 48, 3), np.uint8)
    shown[:16, :24], shown[:16, 24:], shown[16:, :24], shown[16:, 24:] = (
        (220, 60, 50),
        (30, 160, 40),
        (0, 140, 190),
        128,
    )
    return shown


def frame_of(pix_fmt: str | None) -> VideoFrame:
    native = None if pix_fmt is None else av.VideoFrame.from_ndarray(picture(), "rgb24").reformat(format=pix_fmt)
    return VideoFrame(0, Fraction(0), Fraction(1), picture, native=native)


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "nv12", "yuv422p", "yuv444p10le", "yuv420p12le", "yuv420p10be", "rgb24", None]
)
def test_colours_are_those_of_the_picture(pix_fmt):
    frame = frame_of(pix_fmt)
    luma, (cb, cr) = luma_of(frame), chroma_of(frame)
    assert luma.shape == (32, 48)
    assert luma.dtype == cb.dtype == cr.dtype == np.uint8
    for row, column in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        red, green, blue = picture()[int(32 * row), int(48 * column)].astype(float)
        y = 0.299 * red + 0.587 * green + 0.114 * blue
        for plane, wanted in ((luma, y), (cb, 128 + 0.564 * (blue - y)), (cr, 128 + 0.713 * (red - y))):
            shown = float(plane[int(plane.shape[0] * row), int(plane.shape[1] * column)])
            assert shown - 128 == pytest.approx(
                wanted - 128, abs=3 + 0.16 * abs(wanted - 128)
            )  # limited range is 14% less


def test_what_is_grey_has_none():
    assert chroma_of(frame_of("gray")) == ()
    assert chroma_of(frame_of("gray10le")) == ()
