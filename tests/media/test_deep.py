"""More than eight bits against the closed form of ITU-R BT.601, BT.709 and BT.2020, to the code."""

import av
import numpy as np
import pytest

from vidcm.media import deep
from vidcm.media.colour import BT601, BT709, BT2020, FULL, LIMITED, Colour, Converter
from vidcm.media.deep import depth_of, frame_of, middle_format, overshoots

LUMA = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}  # of red and blue
FORMATS = [f"yuv{chroma}p{depth}le" for chroma in (420, 422, 444) for depth in (10, 12)]
COLOURS = [(1, 0, 0), (0, 1, 0), (0.08, 0.16, 0.8), (0.5, 0.5, 0.5), (1, 1, 1), (0, 0, 0), (0.801, 0.702, 0.103)]


def planes_of(frame: av.VideoFrame) -> np.ndarray:
    """The samples of a planar 16-bit frame without subsampling, uint16 [H, W, C]."""
    lines = (np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes)
    return np.stack(list(lines), axis=-1)


def closed_form(rgb, matrix: int, is_full: bool, depth: int) -> list[float]:
    red, blue = LUMA[matrix]
    r, g, b = rgb
    luma = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    if is_full:
        return [(2**depth - 1) * luma, *((2**depth - 1) * c + 2 ** (depth - 1) for c in (cb, cr))]
    return [2 ** (depth - 8) * code for code in (16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr)]


def codes(frame: av.VideoFrame, x: int, y: int) -> list[int]:
    """Of the planes at a pixel of the chroma grid."""
    return [int(np.frombuffer(bytes(plane), np.uint16)[y * plane.line_size // 2 + x]) for plane in frame.planes]


@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("range_", [LIMITED, FULL])
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_solid_colours_match_the_standard_to_the_code_both_ways(matrix, range_, pix_fmt):
    converter, depth = Converter(Colour(matrix, range_), 32, 24), depth_of(pix_fmt)
    for rgb in COLOURS:
        frame = converter.from_rgb(np.full((24, 32, 3), rgb, np.float32), pix_fmt)
        wanted = np.clip(closed_form(rgb, matrix, range_ == FULL, depth), 0, 2**depth - 1)
        np.testing.assert_allclose(codes(frame, 5, 5), wanted, atol=0.51)
        back = converter.to_deep_rgb(frame)
        assert back.dtype == np.float32
        np.testing.assert_allclose(back[10, 10], rgb, atol=2 / 2**depth)


def test_eight_bit_pictures_go_into_a_deeper_format_as_exactly():
    """An 8-bit source that becomes ProRes: in-betweens at the codes of the source frames beside them."""
    grey = np.full((24, 32, 3), 126, np.uint8)
    frame = Converter(Colour(BT709, LIMITED), 32, 24).from_rgb(grey, "yuv422p10le")
    assert codes(frame, 5, 5) == [round(4 * (16 + 219 * 126 / 255)), 512, 512]


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le"])
def test_a_picture_is_the_same_in_bands_of_any_height(pix_fmt, monkeypatch):
    rgb = np.random.default_rng(0).random((50, 38, 3), np.float32)
    converter, made = Converter(Colour(BT709, LIMITED), 38, 50), []
    for band in (2**17, 7 * 38, 1):
        monkeypatch.setattr(deep, "BAND", band)
        frame = converter.from_rgb(rgb, pix_fmt)
        made.append((frame.to_ndarray(), converter.to_deep_rgb(frame)))
    for codes_of_bands, back in made[1:]:
        np.testing.assert_array_equal(codes_of_bands, made[0][0])
        np.testing.assert_allclose(back, made[0][1], rtol=0, atol=2**-22)  # one bit of what is near 1


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_every_code_between_black_and_white_survives_the_round_trip(depth):
    """A grey ramp through float RGB and back: not one code of it is moved."""
    step = 2 ** (depth - 8)
    ramp = np.linspace(16 * step, 235 * step, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    samples = np.stack([ramp, *[np.full_like(ramp, 128 * step)] * 2], axis=-1)
    pix_fmt = f"yuv444p{depth}le"
    converter = Converter(Colour(BT709, LIMITED), 64, 64)
    back = converter.from_rgb(converter.to_deep_rgb(frame_of(samples, pix_fmt)), pix_fmt)
    np.testing.assert_array_equal(planes_of(back)[..., 0], ramp)


def test_chroma_keeps_its_place_on_the_way_to_full_size_and_back():
    """A smooth picture with shared chroma samples: hardly a code is moved."""
    y, x = np.mgrid[0:48, 0:64]
    samples = np.stack([400 + 3 * x, 512 + 100 * np.sin(x / 20), 512 + 100 * np.cos(y / 15)], axis=-1).astype(np.uint16)
    converter = Converter(Colour(BT2020, LIMITED), 64, 48)
    shared = converter.convert(frame_of(samples, "yuv444p10le"), "yuv420p10le")
    back = converter.from_rgb(converter.to_deep_rgb(shared), "yuv420p10le")
    for before, after in zip(shared.planes, back.planes, strict=True):
        moved = np.frombuffer(bytes(after), np.uint16).astype(int) - np.frombuffer(bytes(before), np.uint16)
        assert np.abs(moved).mean() < 0.5
        assert np.abs(moved).max() <= 3  # at the borders


def test_deep_rgb_is_read_and_written_without_a_matrix():
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 2**12, (24, 32, 3)).astype(np.uint16)
    frame = frame_of(samples, "gbrp12le")  # planes in the order green, blue, red
    converter = Converter(Colour(0, FULL), 32, 24)
    rgb = converter.to_deep_rgb(frame)
    np.testing.assert_allclose(rgb[..., 1], samples[..., 0] / 4095, atol=1 / 4095)
    np.testing.assert_allclose(planes_of(converter.from_rgb(rgb, "gbrp12le")).astype(int), samples, atol=1)


@pytest.mark.parametrize(
    ("pix_fmt", "middle"),
    [("yuv420p10be", "yuv444p10le"), ("p010le", "yuv444p10le"), ("gray12le", "yuv444p12le"), ("yuv420p", "yuv444p9le")],
)
def test_every_format_has_a_middle_at_least_as_deep(pix_fmt, middle):
    assert middle_format(pix_fmt) == middle


def whiter_than_white(pix_fmt: str = "yuv420p", code: int = 250) -> av.VideoFrame:
    frame = av.VideoFrame(64, 48, pix_fmt)
    for plane, value in zip(frame.planes, (code, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


def test_codes_above_white_come_back_as_they_were():
    """Cameras use them; clipped there, frames made from them would be darker than those beside them."""
    converter = Converter(Colour(BT709, LIMITED), 64, 48)
    back = converter.from_rgb(converter.to_deep_rgb(whiter_than_white()), "yuv420p")
    assert np.frombuffer(back.planes[0], np.uint8)[0] == 250
    clipped = converter.from_rgb(converter.to_rgb(whiter_than_white()), "yuv420p")
    assert np.frombuffer(clipped.planes[0], np.uint8)[0] == 235


@pytest.mark.parametrize(
    ("pix_fmt", "code", "expected"), [("yuv420p", 250, True), ("yuv420p", 235, False), ("yuv422p", 240, True)]
)
def test_frames_that_would_lose_by_it_are_known(pix_fmt, code, expected):
    assert overshoots(whiter_than_white(pix_fmt, code)) is expected


def test_a_few_bright_pixels_are_no_reason():
    frame = whiter_than_white(code=200)
    luma = np.frombuffer(frame.planes[0], np.uint8).copy()
    luma[1:4] = 255
    frame.planes[0].update(luma.tobytes())
    assert not overshoots(frame)
