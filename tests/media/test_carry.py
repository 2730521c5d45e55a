"""Second videos, covers, data, timecodes, chapters and words: in the output, or named with the reason why not."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from vidcm.media.carry import timecode_at
from vidcm.media.reader import open_reader
from vidcm.media.text import HEADER
from vidcm.media.writer import VideoWriter

CHAPTERS = [
    {"id": n, "start": n, "end": n + 1, "time_base": Fraction(1, 4), "metadata": {"title": title}}
    for n, title in enumerate(["one", "two"])
]


def doubled(source: Path, target: Path) -> list[str]:
    """`source` at twice the rate. Returns what was dropped."""
    options = {"cpu-used": "8"} if target.suffix == ".webm" else {"preset": "ultrafast"}
    with (
        open_reader(source, rotate=False) as reader,
        VideoWriter(
            target, reader.info, rate=2 * reader.info.average_rate, options=options, copy_from=source
        ) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
            writer.write(frame, frame.instant + frame.duration / 2, frame.duration / 2)
    return writer.dropped


def packets(path: Path, index: int) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(container.streams[index]) if packet.size]
        return [(bytes(packet), (packet.pts or 0) * packet.time_base) for packet in found]


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def tell(target: av.container.OutputContainer, video: av.VideoStream) -> None:
    pass


@pytest.fixture
def make_rich(tmp_path):
    """make_rich("in.mp4", before=f): ten small frames; f(container, video) adds to them before the header is written,
    and may return a function that is called behind it."""

    def make(name: str, before=tell, rate: Fraction | int = 24, codec: str = "libx264") -> Path:
        with av.open(str(tmp_path / name), "w") as target:
            video = target.add_stream(codec, rate=rate)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            behind = before(target, video)
            if behind:
                behind()
            for index in range(10):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), "rgb24")
                target.mux(video.encode(frame))
            target.mux(video.encode(None))
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "out.mov"])
def test_a_second_video_is_copied_packet_for_packet(make_clip, tmp_path, name):
    path, clip = tmp_path / "two.mkv", make_clip(options={"preset": "veryfast", "bf": "0"})
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(source.streams.video[0]) for _ in range(2)]
        for packet in source.demux():
            if packet.pts is not None:
                for copy in copies:
                    packet.stream = copy
                    target.mux(packet)
    assert doubled(path, tmp_path / name) == []
    assert kinds(tmp_path / name) == ["video", "video"]
    assert packets(tmp_path / name, 1) == packets(path, 1)
    assert len(packets(tmp_path / name, 0)) == 2 * len(packets(path, 1))


def add_telemetry(target, video):
    """What a GoPro records beside its pictures."""
    data = target.add_data_stream("bin_data")
    data.time_base = Fraction(1, 1000)

    def behind():
        for index in range(5):
            packet = av.Packet(b"GPS %d" % index)
            packet.stream, packet.pts, packet.dts, packet.time_base = data, 80 * index, 80 * index, data.time_base
            target.mux(packet)

    return behind


def test_telemetry_is_copied_where_it_can_be_and_named_where_not(make_rich, tmp_path):
    source = make_rich("in.mp4", add_telemetry)
    assert doubled(source, tmp_path / "out.mp4") == []
    assert packets(tmp_path / "out.mp4", 1) == packets(source, 1)
    assert doubled(source, tmp_path / "out.mkv") == ["data stream 1 (bin_data): matroska cannot hold it"]


def add_cover(target, video):
    cover = target.add_stream("mjpeg", rate=25)
    cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
    cover.disposition = Disposition.attached_pic

    def behind():
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
        target.mux(cover.encode(frame.reformat(format="yuvj420p")))
        target.mux(cover.encode(None))

    return behind


def test_a_cover_picture_moves_between_mp4_and_matroska(make_rich, tmp_path):
    source = make_rich("in.mp4", add_cover)
    (picture, _) = packets(source, 1)[0]
    for before, after in [("in.mp4", "a.mp4"), ("a.mp4", "b.mkv"), ("b.mkv", "c.mkv"), ("c.mkv", "d.mp4")]:
        assert doubled(tmp_path / before, tmp_path / after) == []
        with av.open(str(tmp_path / after)) as container:
            assert container.streams[1].disposition & Disposition.attached_pic
        assert [data for data, _ in packets(tmp_path / after, 1)] == [picture]


@pytest.mark.parametrize("name", ["out.mov", "out.webm"])
def test_a_cover_that_has_no_place_is_named(make_rich, tmp_path, name):
    (dropped,) = doubled(make_rich("in.mp4", add_cover), tmp_path / name)
    assert dropped == f"video stream 1 (mjpeg): {name[4:]} cannot hold a cover picture of this kind"


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
@pytest.mark.parametrize("source", ["in.mp4", "in.mkv"])
def test_chapters_come_along_once(make_rich, tmp_path, source, name):
    """MP4 has them in a track of text as well, which is no stream to copy, nor one to be missed."""
    source = make_rich(source, lambda target, video: target.set_chapters(CHAPTERS))
    assert doubled(source, tmp_path / name) == []
    with av.open(str(tmp_path / name)) as container:
        chapters = container.chapters()
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["one", "two"]
    assert [chapter["start"] * chapter["time_base"] for chapter in chapters] == [0, Fraction(1, 4)]


def with_timecode(text):
    return lambda target, video: video.metadata.update(timecode=text)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
def test_a_timecode_counts_in_the_frames_of_the_new_rate(make_rich, tmp_path, name):
    source = make_rich("in.mov", with_timecode("10:00:00:12"))
    assert kinds(source) == ["video", "data"]
    assert doubled(source, tmp_path / name) == []
    with av.open(str(tmp_path / name)) as container:
        assert [stream.metadata["timecode"] for stream in container.streams] == ["10:00:00:24"] * 2
    assert doubled(source, tmp_path / "out.mkv") == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams[0].metadata["TIMECODE"] == "10:00:00:24"


@pytest.mark.parametrize(
    ("timecode", "before", "after", "moved"),
    [
        ("01:02:03:10", 24, 60, "01:02:03:25"),
        ("01:02:03:10", Fraction(24000, 1001), Fraction(60000, 1001), "01:02:03:25"),
        ("01:02:03;29", Fraction(30000, 1001), Fraction(60000, 1001), "01:02:03;58"),
        ("01:02:03;29", Fraction(30000, 1001), 50, None),
        ("noon", 24, 48, None),
    ],
)
def test_timecodes_are_scaled_or_given_up(timecode, before, after, moved):
    assert timecode_at(timecode, Fraction(before), Fraction(after)) == moved


def test_a_timecode_that_cannot_be_counted_is_named(make_rich, tmp_path):
    source = make_rich("in.mkv", with_timecode("10:00:00;12"), rate=25)
    (dropped,) = doubled(source, tmp_path / "out.mov")
    assert dropped == "timecode 10:00:00;12: it cannot be counted at 50 frames per second"


def with_words(target, video):
    target.metadata.update(title="A walk", comment="at noon", make="Canon", lens="50 mm")
    video.metadata.update(language="ger", title="Main")


def test_words_come_along_and_those_without_a_place_are_named(make_rich, tmp_path):
    source = make_rich("in.mkv", with_words)
    assert doubled(source, tmp_path / "out.mkv") == []
    assert doubled(source, tmp_path / "out.mp4") == ["metadata LENS, MAKE: mp4 has no place for it"]
    assert doubled(source, tmp_path / "out.mov") == ["metadata LENS: mov has no place for it"]
    for name in ("out.mkv", "out.mp4"):
        with av.open(str(tmp_path / name)) as container:
            lower = {key.lower(): text for key, text in container.metadata.items()}
            assert (lower["title"], lower["comment"]) == ("A walk", "at noon")
            assert container.streams[0].language == "ger"
            assert "Main" in container.streams[0].metadata.values()
    assert doubled(tmp_path / "out.mp4", tmp_path / "back.mkv") == []
    with av.open(str(tmp_path / "back.mkv")) as container:
        assert container.streams[0].metadata["title"] == "Main"


def add_subtitles(codec):
    """A line of text from 0.1 s on."""

    def before(target, video):
        text = target.add_stream(codec)
        text.time_base = Fraction(1, 1000)
        text.codec_context.subtitle_header = HEADER
        data = len(b"Hallo").to_bytes(2, "big") + b"Hallo" if codec == "mov_text" else b"Hallo"

        def behind():
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.duration = text, 100, 100, 200
            packet.time_base = Fraction(1, 1000)
            target.mux(packet)

        return behind

    return before


SUBTITLES = {
    ("in.mp4", "mov_text"): {"out.mp4": True, "out.mov": True, "out.mkv": False, "out.webm": False},
    ("in.mkv", "subrip"): {"out.mkv": True, "out.webm": False},  # .mp4 and .mov: see test_text
}


@pytest.mark.parametrize(("name", "codec"), SUBTITLES)
def test_subtitles_are_copied_or_named(make_rich, tmp_path, name, codec):
    source = make_rich(name, add_subtitles(codec))
    shown = {"subrip": "srt"}.get(codec, codec)
    for target, fits in SUBTITLES[name, codec].items():
        dropped = doubled(source, tmp_path / target)
        if fits:
            assert dropped == []
            assert packets(source, 1)[0] in packets(tmp_path / target, 1)
        else:
            container = {"mkv": "matroska"}.get(target[4:], target[4:])
            assert dropped == [f"subtitle stream 1 ({shown}): {container} cannot hold it"]


def add_opus(target, video):
    sound = target.add_stream("libopus", rate=48000, layout="mono")

    def behind():
        for start in range(0, 24000, 960):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))

    return behind


@pytest.mark.parametrize("name", ["out.webm", "out.mp4", "out.mkv"])
def test_opus_is_copied_into_every_container_that_knows_it(make_rich, tmp_path, name):
    source = make_rich("in.webm", add_opus, codec="libvpx-vp9")
    assert doubled(source, tmp_path / name) == []
    assert [data for data, _ in packets(tmp_path / name, 1)] == [data for data, _ in packets(source, 1)]
