"""Pictures are full range and RGB; what they become as video is what its players take it for."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.colour import BT601, BT709, FULL, LIMITED
from vidcm.media.reader import open_reader

from .pictures import patches, save

DOUBLE = Factor(Fraction(2))
HD, SD = (1280, 128), (256, 128)


def frames_of(path: Path) -> list[np.ndarray]:
    """float RGB in 0..1, by the tags of the file alone."""
    with open_reader(path) as reader:
        return [frame.samples / (255 if frame.samples.dtype == np.uint8 else 1) for frame in reader]


@pytest.mark.parametrize(
    ("name", "codec", "size", "matrix"),
    [
        ("out.mov", "prores", HD, BT709),
        ("out.mov", "prores", SD, BT601),
        ("out.mov", "dnxhr", SD, BT709),  # it knows no other
        ("out.mp4", "h264", SD, BT601),
        ("out.mp4", "hevc", HD, BT709),
        ("out.mkv", "vp9", SD, BT601),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_becomes_video_of_limited_range_in_the_matrix_of_its_size(
    name, codec, size, matrix, dtype, crossfade, tmp_path
):
    bars = patches(dtype, size)
    kind = "rgb24" if dtype is np.uint8 else "rgb48be"
    source = save(tmp_path / "in" / "%d.png", [av.VideoFrame.from_ndarray(bars, kind)] * 2)
    report = interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade, codec=codec, quality="best")
    with open_reader(tmp_path / name) as reader:
        assert (reader.info.colour.matrix, reader.info.colour.range) == (matrix, LIMITED)
    shown = frames_of(tmp_path / name)
    width = size[0] // 8
    middles = [frame[64, width // 2 :: width] for frame in shown]
    expected = bars[64, width // 2 :: width] / np.iinfo(dtype).max
    assert np.abs(middles[0] - expected).max() < 0.02
    assert np.abs(middles[1] - middles[0]).max() < 0.005  # kept and made: no flicker
    assert any("RGB is written as" in line for line in report.dropped)
    assert any(line.startswith("depth: ") for line in report.dropped) == (dtype is np.uint16)


def test_what_is_put_in_is_the_standards_codes(crossfade, tmp_path):
    """Closed form: BT.709 limited luma of pure red, green and blue, ten bits."""
    source = save(tmp_path / "in" / "%d.png", [av.VideoFrame.from_ndarray(patches(np.uint8, HD), "rgb24")] * 2)
    target = tmp_path / "out.mov"
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec="prores", quality="best")
    with open_reader(target) as reader:
        for frame in reader:
            plane = frame.native.planes[0]
            luma = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[64, 80:1280:160]
            weights = [0, 0.2126, 0.7152, 0.9278, 0.0722, 0.2848, 0.7874, 1]
            np.testing.assert_allclose(luma, 64 + 876 * np.array(weights), atol=2)


@pytest.mark.parametrize(
    ("name", "codec", "depth", "pix_fmt"),
    [
        ("out.mov", "prores", 10, "yuv422p10le"),
        ("out.mov", "dnxhr", 10, "yuv422p10le"),
        ("out.mp4", None, 12, "yuv420p12le"),
        ("out.webm", None, 10, "yuv420p10le"),
        ("out.mp4", "h264", 10, "yuv420p10le"),
    ],
)
def test_sixteen_bits_become_as_many_as_there_can_be(name, codec, depth, pix_fmt, crossfade, tmp_path):
    source = save(tmp_path / "in" / "%d.png", [av.VideoFrame.from_ndarray(patches(np.uint16), "rgb48be")] * 2)
    report = interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade, codec=codec)
    assert report.pix_fmt == pix_fmt
    assert f"depth: {report.codec} is written with {depth} bits, the input has 16" in report.dropped


@pytest.mark.parametrize("kind", ["gray", "gray16be", "yuvj420p", "yuvj444p", "pal8"])
def test_other_pictures_are_taken_by_prores_too(kind, crossfade, tmp_path):
    bars = av.VideoFrame.from_ndarray(patches(np.uint8) // 2 + 64, "rgb24")  # where JPEG's errors are not clipped
    if kind == "pal8":
        palette = np.zeros((256, 4), np.uint8)
        palette[:8] = np.column_stack(
            [np.full(8, 255), 255 * np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)])]
        )
        indices = np.repeat(np.repeat(np.arange(8, dtype=np.uint8)[None], 128, axis=0), 32, axis=1)
        frame = av.VideoFrame.from_ndarray((indices, palette), "pal8")
    else:
        frame = bars.reformat(format=kind, dst_colorspace="ITU601", dst_color_range=FULL)
    source = save(tmp_path / "in" / ("%d.jpg" if kind.startswith("yuvj") else "%d.png"), [frame] * 2)
    target = tmp_path / "out.mov"
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec="prores", quality="best")
    with open_reader(source) as reader:
        before = next(frame.rgb for frame in reader)[64, 16::32] / 255
    with open_reader(target) as reader:
        assert (reader.info.colour.matrix, reader.info.colour.range) in ((BT601, LIMITED), (5, LIMITED))
    after = frames_of(target)
    assert np.abs(after[0][64, 16::32] - before).max() < 0.02
    assert np.abs(after[1][64, 16::32] - after[0][64, 16::32]).max() < 0.005


def test_full_range_video_is_still_not_touched(crossfade, tmp_path):
    """Somebody chose it, and every source frame would be another one."""
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv422p"
        stream.codec_context.color_range = FULL
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24").reformat(format="yuv422p")
        for _ in range(3):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="prores holds limited range only"):
        interpolate_file(tmp_path / "in.mkv", tmp_path / "a.mov", rule=DOUBLE, interpolator=crossfade, codec="prores")
