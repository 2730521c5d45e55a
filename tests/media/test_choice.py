"""Which codec and pixel format a name and a source lead to, and what is refused."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from vidcm.core.errors import UserError
from vidcm.media.choice import choose, pixel_format
from vidcm.media.colour import BT601, BT709, BT2020, FULL, LIMITED, Colour
from vidcm.media.deep import depth_of
from vidcm.media.encoders import CONTAINERS, ENCODERS, QUALITIES
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter

HD = Colour(BT709, LIMITED, BT709, BT709)
WAYS = " (prores in .mov, vp9 in .webm, ffv1 in .mkv and .png keep it)"


@pytest.fixture
def info(make_clip):
    """info("yuv422p10le", width=1920, ...) of an imagined source."""

    with open_reader(make_clip(count=1)) as reader:
        known = replace(reader.info, width=640, height=360, colour=HD)

    def imagined(pix_fmt: str = "yuv420p", **fields):
        return replace(known, pix_fmt=pix_fmt, bit_depth=depth_of(pix_fmt), **fields)

    return imagined


@pytest.mark.parametrize(
    ("name", "pix_fmt", "codec", "written"),
    [
        ("a.mp4", "yuv420p", "h264", "yuv420p"),
        ("a.MOV", "yuv422p", "h264", "yuv422p"),
        ("a.webm", "yuv420p", "vp9", "yuv420p"),
        ("a.webm", "yuv420p10le", "av1", "yuv420p10le"),
        ("a.mp4", "yuv420p10le", "hevc", "yuv420p10le"),
        ("a.mkv", "yuv444p12le", "hevc", "yuv444p12le"),
        ("a.mkv", "yuv420p9le", "hevc", "yuv420p10le"),
        ("a.mkv", "gbrp16le", "ffv1", "gbrp16le"),
        ("a.mp4", "gray", "h264", "gray"),
        ("a.webm", "gray", "vp9", "yuv420p"),
        ("a.mkv", "p010le", "hevc", "yuv420p10le"),
    ],
)
def test_the_name_and_the_depth_choose_codec_and_format(info, name, pix_fmt, codec, written):
    choice = choose(Path(name), info(pix_fmt))
    assert (choice.codec, choice.pix_fmt, choice.notes) == (codec, written, ())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "written"),
    [
        ("a.mov", "prores", "yuv420p", "yuv422p10le"),
        ("a.mov", "prores", "yuv444p10le", "yuv444p10le"),
        ("a.mov", "dnxhr", "yuv420p", "yuv422p"),
        ("a.mov", "dnxhr", "yuv420p10le", "yuv422p10le"),
        ("a.mkv", "ffv1", "gbrp", "bgr0"),
        ("a.mkv", "ffv1", "yuv411p", "yuv411p"),
    ],
)
def test_a_codec_that_was_asked_for_gets_a_format_that_loses_nothing(info, name, codec, pix_fmt, written):
    choice = choose(Path(name), info(pix_fmt), codec)
    assert (choice.pix_fmt, choice.notes) == (written, ())


@pytest.mark.parametrize(
    ("codec", "fields", "reason"),
    [
        ("dnxhr", {"width": 255}, "dnxhr needs at least 256x120 pixels, the input has 255x360 .use ffv1 in .mkv"),
        ("dnxhr", {"colour": Colour(BT2020, LIMITED)}, "BT.709 colours only.*code 9 .use hevc"),
        ("dnxhr", {"colour": Colour(BT601, LIMITED)}, "BT.709 colours only.*code 6"),
        ("prores", {"colour": Colour(BT709, FULL)}, "prores holds limited range only.*use hevc"),
        ("prores", {"pix_fmt": "yuv422p12le"}, "prores holds 10 bits here, the input has 12 .use hevc"),
        ("hevc", {"pix_fmt": "yuv420p16le"}, "hevc holds 12 bits here, the input has 16 .use ffv1 in .mkv"),
        ("av1", {}, "mov files do not hold av1 .use h264, hevc, prores, dnxhr"),
        ("divx", {}, "unknown codec 'divx' .known: h264"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(info, codec, fields, reason):
    with pytest.raises(UserError, match=reason):
        choose(Path("a.mov"), info(**fields), codec)


def test_an_unknown_quality_is_named_with_the_known_ones(info):
    with pytest.raises(UserError, match=r"unknown quality '18' \(known: low, medium, high, best"):
        choose(Path("a.mp4"), info(), quality="18")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "note"),
    [
        ("hevc", "yuva444p10le", f"alpha: hevc pictures are written without it{WAYS}"),
        ("av1", "yuv422p", "chroma detail: av1 is written as yuv420p, the input is yuv422p"),
        ("h264", "bgra", f"alpha: h264 pictures are written without it{WAYS}"),
    ],
)
def test_what_of_the_picture_is_left_out_is_named(info, codec, pix_fmt, note):
    assert note in choose(Path("a.mkv"), info(pix_fmt), codec).notes


def test_rgb_that_becomes_yuv_is_named(info):
    (note,) = choose(Path("a.mp4"), info("bgr0")).notes
    assert note.startswith("chroma detail: RGB is written as yuv420p")
    (note,) = choose(Path("a.mov"), info("rgba"), "prores").notes
    assert note.startswith("RGB samples: RGB is written as yuva444p10le")  # no chroma is shared


def test_prores_is_written_as_prores_again(info):
    choice = choose(Path("a.mov"), info("yuv444p12le", codec="prores"), "prores")
    assert (choice.pix_fmt, choice.notes) == (
        "yuv444p10le",
        ("depth: prores is written with 10 bits, the input has 12",),
    )


@pytest.mark.parametrize("codec", ENCODERS)
def test_no_format_is_an_invention(codec):
    """Whatever comes in, the encoder knows what it is given, and never a deeper picture in fewer bits than it could."""
    named = av.Codec(ENCODERS[codec].name, "w").video_formats  # none where it takes any
    known = {each.name for each in named} if named else set(ENCODERS[codec].formats)
    for source in ("yuv420p", "yuvj444p", "gray10le", "pal8", "rgba64le", "ya8", "xyz12le", "monow", "nv12", "yuv411p"):
        for size in ((640, 360), (161, 121)):
            assert pixel_format(ENCODERS[codec], source, *size) in known


@pytest.mark.parametrize(
    ("suffix", "codec"), [(suffix, codec) for suffix, container in CONTAINERS.items() for codec in container.codecs]
)
def test_every_pair_of_container_and_codec_we_name_is_written_and_read(make_clip, tmp_path, suffix, codec):
    source = make_clip(count=2, width=256, height=128, colour=(1, 1, 1, 1))
    options = {"av1": {"preset": "12"}, "vp9": {"cpu-used": "8"}}.get(codec, {})
    with (
        open_reader(source) as reader,
        VideoWriter(tmp_path / f"out{suffix}", reader.info, codec=codec, options=options) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
    with open_reader(tmp_path / f"out{suffix}") as reader:
        assert {"libdav1d": "av1", "dnxhd": "dnxhr"}.get(reader.info.codec, reader.info.codec) == codec
        assert reader.info.colour == HD
        assert len(list(reader)) == 2


@pytest.mark.parametrize("codec", ["av1", "vp9", "prores", "ffv1"])
def test_sizes_stay_to_the_pixel_and_no_encoder_chatters(make_clip, tmp_path, capfd, codec):
    source = make_clip(count=2, width=70, height=45, pix_fmt="yuv444p", colour=(1, 1, 1, 1))
    options = {"av1": {"preset": "12"}, "vp9": {"cpu-used": "8"}}.get(codec, {})
    capfd.readouterr()
    with (
        open_reader(source) as reader,
        VideoWriter(tmp_path / "out.mkv", reader.info, codec=codec, options=options) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
    assert capfd.readouterr() == ("", "")
    with open_reader(tmp_path / "out.mkv") as reader:
        assert (reader.info.width, reader.info.height) == (70, 45)


@pytest.mark.parametrize("codec", [codec for codec, encoder in ENCODERS.items() if encoder.levels])
def test_more_quality_is_never_a_smaller_file(make_clip, tmp_path, codec):
    suffix = ".mov" if codec in ("prores", "dnxhr") else ".mkv"
    source = make_clip(count=2, width=256, height=128, colour=(1, 1, 1, 1))
    options = {"av1": {"preset": "12"}, "vp9": {"cpu-used": "8"}}.get(codec, {})
    sizes = []
    for quality in QUALITIES:
        target = tmp_path / f"{quality}{suffix}"
        with (
            open_reader(source) as reader,
            VideoWriter(target, reader.info, codec=codec, quality=quality, options=options) as writer,
        ):
            for frame in reader:
                writer.write(frame, frame.instant)
        sizes.append(target.stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_last_few_pictures_of_hevc_have_sane_decoding_times(make_clip, tmp_path, count):
    """Ten times: what x265 gives for one or two is a matter of luck."""
    source = make_clip(count=count, width=256, height=128, colour=(1, 1, 1, 1))
    for number in range(10):
        path = tmp_path / f"{number}.mp4"
        with open_reader(source) as reader, VideoWriter(path, reader.info, codec="hevc", options={}) as writer:
            for frame in reader:
                writer.write(frame, frame.instant)
        with av.open(path) as container:
            times = [(packet.dts, packet.pts) for packet in container.demux(video=0) if packet.size]
        assert len(times) == count
        assert all(dts is None or -1_000_000 <= dts <= pts for dts, pts in times)
        with open_reader(path) as reader:
            assert len(list(reader)) == count


@pytest.mark.parametrize(("name", "option"), [("a.mp4", "rc-lookahead"), ("a.webm", "lag-in-frames")])
def test_fewer_large_pictures_wait_in_the_encoder(info, name, option):
    big, small = (choose(Path(name), info(width=w, height=h), None) for w, h in ((3840, 2160), (1920, 1080)))
    assert int(big.options[option]) < int(small.options.get(option, 25))  # 25: FFmpeg's for VP9
    assert {**big.options, option: None} == {**small.options, option: None}  # and nothing else
