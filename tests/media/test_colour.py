"""Conversions against the closed form of ITU-R BT.601, BT.709 and BT.2020."""

import av
import numpy as np
import pytest

from vidcm.media.colour import BT601, BT709, BT2020, FULL, LIMITED, Colour, Converter

WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}  # of red and blue in luma
COLOURS = [(255, 0, 0), (0, 255, 0), (20, 40, 200), (128, 128, 128), (255, 255, 255), (0, 0, 0), (200, 180, 30)]


def closed_form(rgb, matrix: int, full: bool) -> list[float]:
    """Y, Cb, Cr on the 8-bit scale."""
    red, blue = WEIGHTS[matrix]
    r, g, b = (value / 255 for value in rgb)
    luma = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    return [255 * luma, 255 * cb + 128, 255 * cr + 128] if full else [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("range_", [LIMITED, FULL])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_solid_colours_match_the_standard_both_ways(matrix, range_, pix_fmt):
    converter = Converter(Colour(matrix, range_), 64, 48)
    scale, kind = (4, np.uint16) if "10" in pix_fmt else (1, np.uint8)
    for rgb in COLOURS:
        frame = converter.from_rgb(np.full((48, 64, 3), rgb, np.uint8), pix_fmt)
        stored = [np.frombuffer(bytes(plane), kind)[3] / scale for plane in frame.planes]
        np.testing.assert_allclose(stored, closed_form(rgb, matrix, range_ == FULL), atol=1.01)
        np.testing.assert_allclose(converter.to_rgb(frame)[20, 30].astype(int), rgb, atol=2)


def test_a_missing_matrix_goes_by_size_and_a_missing_range_is_limited():
    assert Colour().resolved(720, 576) == Colour(BT601, LIMITED)
    assert Colour().resolved(1280, 720) == Colour(BT709, LIMITED)
    assert Colour().resolved(720, 1280) == Colour(BT709, LIMITED)
    assert Colour(BT2020, FULL).resolved(720, 576) == Colour(BT2020, FULL)


def test_smooth_pictures_survive_the_round_trip_within_two_levels(paint):
    for matrix in WEIGHTS:
        converter = Converter(Colour(matrix, LIMITED), 64, 48)
        rgb = paint(3)
        rgb[: 48 // 6] = 120  # the sharp bar would lose half its chroma samples
        there_and_back = converter.to_rgb(converter.from_rgb(rgb, "yuv444p"))
        assert np.abs(there_and_back.astype(int) - rgb).max() <= 2
        shared = converter.to_rgb(converter.from_rgb(rgb, "yuv420p"))
        assert np.abs(shared.astype(int) - rgb).mean() < 1.5


def test_odd_sizes_convert_whole(paint):
    converter = Converter(Colour(), 63, 47)
    frame = converter.from_rgb(paint(0, 63, 47), "yuv420p")
    assert converter.to_rgb(frame).shape == (47, 63, 3)


def test_rgb_sources_pass_without_a_matrix(paint):
    frame = av.VideoFrame.from_ndarray(paint(0), "rgb24").reformat(format="gbrp")
    np.testing.assert_array_equal(Converter(Colour(0, FULL), 64, 48).to_rgb(frame), paint(0))


def test_a_frame_in_the_wanted_format_is_passed_on_itself(paint):
    converter = Converter(Colour(), 64, 48)
    frame = converter.from_rgb(paint(0), "yuv420p")
    assert converter.convert(frame, "yuv420p") is frame


def test_full_range_under_its_old_format_name_keeps_its_planes(paint):
    """Decoders call full-range H.264 yuvj420p, FFV1 only knows yuv420p with a tag: the same numbers."""
    converter = Converter(Colour(BT601, FULL), 64, 48)
    frame = converter.from_rgb(paint(0), "yuvj420p")
    for old, new in zip(frame.planes, converter.convert(frame, "yuv420p").planes, strict=True):
        assert bytes(old) == bytes(new)
