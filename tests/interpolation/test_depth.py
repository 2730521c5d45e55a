"""Ten and twelve bits from file to file: same depth out, source frames untouched, in-betweens to the code."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.deep import depth_of, frame_of
from vidcm.media.reader import open_reader

DOUBLE = Factor(Fraction(2))
FORMATS = [f"yuv{chroma}p{depth}le" for chroma in (420, 422, 444) for depth in (10, 12)]
NOISE = np.random.default_rng(0).integers(-20, 20, (48, 64))


def deep_video(path: Path, pix_fmt: str, lumas: list[int], *, size: tuple[int, int] = (64, 48)) -> Path:
    """FFV1: one frame of noisy grey for each luma, on the scale of ten bits."""
    scale, (width, height) = 2 ** (depth_of(pix_fmt) - 10), size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 18
        for luma in lumas:
            grey = np.resize(luma + NOISE, (height, width))
            samples = np.stack([grey, *[np.full_like(grey, 512)] * 2], axis=-1)[..., : 1 if "gray" in pix_fmt else 3]
            name = pix_fmt if "gray" in pix_fmt else f"yuv444p{depth_of(pix_fmt)}le"
            frame = frame_of((scale * samples).astype(np.uint16), name)
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(bytes(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width].astype(int)


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_source_frames_pass_untouched_and_in_betweens_are_made_at_full_depth(pix_fmt, crossfade, tmp_path):
    source = deep_video(tmp_path / "in.mkv", pix_fmt, [400, 402, 407])
    interpolate_file(source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    with open_reader(source) as before, open_reader(tmp_path / "out.mkv") as after:
        given, shown = [frame.native for frame in before], [frame.native for frame in after]
        assert (after.info.pix_fmt, after.info.colour) == (pix_fmt, before.info.colour)
    for old, new in zip(given, shown[::2], strict=True):
        assert [bytes(plane) for plane in new.planes] == [bytes(plane) for plane in old.planes]
    for first, made, last in zip(given[:2], shown[1::2], given[1:], strict=False):
        assert np.abs(luma(made) - (luma(first) + luma(last)) / 2).max() <= 0.5  # codes of the full depth


@pytest.mark.parametrize(
    ("name", "pix_fmt", "codec"),
    [
        ("out.mp4", "yuv420p10le", "hevc"),
        ("out.mov", "yuv422p10le", "hevc"),
        ("out.mkv", "yuv444p12le", "hevc"),
        ("out.webm", "yuv420p10le", "libdav1d"),
        ("out.mkv", "gray16le", "ffv1"),
    ],
)
def test_without_a_codec_the_depth_chooses_one(name, pix_fmt, codec, crossfade, tmp_path):
    source = deep_video(tmp_path / "in.mkv", pix_fmt, [400, 500])
    report = interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade)
    assert report.dropped == []
    with open_reader(tmp_path / name) as reader:
        assert (reader.info.codec, reader.info.pix_fmt) == (codec, pix_fmt)
        levels = [frame.samples.mean() for frame in reader]
    assert levels[1] == pytest.approx((levels[0] + levels[2]) / 2, abs=0.004)


@pytest.mark.parametrize(
    ("name", "pix_fmt", "codec", "reason"),
    [
        ("out.mp4", "yuv420p12le", "h264", "h264 holds 10 bits here, the input has 12 .use hevc"),
        ("out.mp4", "yuv420p16le", None, "mp4 files do not hold 16 bits .use .mkv with ffv1"),
        ("out.webm", "yuv420p12le", None, "webm files do not hold 12 bits .use .mp4"),
        ("out.webm", "yuv420p10le", "vp9", "vp9 holds 8 bits here, the input has 10 .use av1"),
    ],
)
def test_a_depth_that_cannot_stay_is_refused_in_one_line(name, pix_fmt, codec, reason, crossfade, tmp_path):
    source = deep_video(tmp_path / "in.mkv", pix_fmt, [400, 500])
    with pytest.raises(UserError, match=reason) as caught:
        interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade, codec=codec)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["in.mkv"]


def test_chroma_that_cannot_stay_is_named(crossfade, tmp_path):
    source = deep_video(tmp_path / "in.mkv", "yuv444p10le", [400, 500])
    report = interpolate_file(source, tmp_path / "out.webm", rule=DOUBLE, interpolator=crossfade)
    assert report.dropped == ["chroma detail: av1 is written as yuv420p10le, the input is yuv444p10le"]


def test_a_real_ten_bit_clip_keeps_depth_tags_and_source_frames(footage, crossfade, tmp_path):
    source, target = footage / "samples" / "flower_10bit_540p.mp4", tmp_path / "out.mkv"
    part = tmp_path / "in.mp4"
    with av.open(str(source)) as whole, av.open(str(part), "w") as container:
        copy = container.add_stream_from_template(whole.streams.video[0])
        for packet in (p for p in whole.demux(video=0) if p.size and p.pts < Fraction(1, 5) / p.time_base):
            packet.stream = copy
            container.mux(packet)
    interpolate_file(part, target, rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    with open_reader(part) as before, open_reader(target) as after:
        assert (after.info.pix_fmt, after.info.colour) == ("yuv420p10le", before.info.colour)
        for old, new in zip(before, list(after)[::2], strict=True):
            assert bytes(old.native.planes[0]) == bytes(new.native.planes[0])
