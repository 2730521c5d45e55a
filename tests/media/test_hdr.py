"""HDR10's static metadata reaches the output where its codec has a place for it, and is named where not."""

from fractions import Fraction

import pytest

from vidcm.media.hdr import Hdr, lost
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter

P3_1000 = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
MESSAGES = f"log-level=error:master-display={P3_1000}:max-cll=1000,400"
PQ = (9, 1, 9, 16)  # BT.2020, limited range, SMPTE ST 2084


@pytest.fixture
def film(make_clip):
    """Ten bits, PQ, with a mastering display and light levels."""
    options = {"preset": "ultrafast", "x265-params": MESSAGES}
    return make_clip("hdr.mkv", codec="libx265", pix_fmt="yuv420p10le", options=options, colour=PQ, count=3)


def rewritten(source, target, **options):
    with open_reader(source, rotate=False) as reader, VideoWriter(target, reader.info, **options) as writer:
        for frame in reader:
            writer.write(frame.samples, frame.instant, frame.duration)  # through RGB, as in-betweens go
    return writer


def test_the_numbers_are_read_as_they_were_meant(film):
    with open_reader(film) as reader:
        hdr = reader.info.hdr
    red, _, _, white = hdr.mastering.points
    assert red == (Fraction(34000, 50000), Fraction(16000, 50000))
    assert white == (Fraction(15635, 50000), Fraction(16450, 50000))
    assert hdr.mastering.luminance == (Fraction(1, 10000), 1000)
    assert hdr.light == (1000, 400)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("out.mp4", "hevc", {"preset": "ultrafast"}),
        ("out.mkv", "h264", {"preset": "ultrafast"}),
        ("out.webm", "av1", {"preset": "10"}),
    ],
)
def test_the_metadata_and_the_tags_come_along(film, tmp_path, name, codec, options):
    writer = rewritten(film, tmp_path / name, codec=codec, options=options)
    assert writer.dropped == []
    with open_reader(film) as before, open_reader(tmp_path / name) as after:
        assert after.info.hdr.light == before.info.hdr.light
        assert after.info.colour == before.info.colour
        assert after.info.pix_fmt == before.info.pix_fmt
        new, old = after.info.hdr.mastering, before.info.hdr.mastering
        for a, b in zip((*sum(new.points, ()), *new.luminance), (*sum(old.points, ()), *old.luminance), strict=True):
            assert float(a) == pytest.approx(float(b), abs=1e-4)


def test_a_codec_without_a_place_for_it_is_named(film, tmp_path):
    writer = rewritten(film, tmp_path / "out.mkv", codec="ffv1")
    assert writer.dropped == [
        "HDR10 mastering display: ffv1 has no place for it",
        "HDR10 content light level: ffv1 has no place for it",
    ]


def test_metadata_of_single_frames_is_named():
    assert lost("libx265", Hdr(dynamic=("HDR10+",))) == [
        "HDR10+ metadata: it is made for the source's frames, not for those in between"
    ]


def test_a_file_without_it_stays_without_it(make_clip, tmp_path):
    source = make_clip(count=2)
    with open_reader(source) as reader:
        assert reader.info.hdr == Hdr()
    assert rewritten(source, tmp_path / "out.mp4", options={"preset": "ultrafast"}).dropped == []
