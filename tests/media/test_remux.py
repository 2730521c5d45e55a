"""Sound, subtitles, chapters and titles come along packet for packet, or are named with the reason why not."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from vidcm.core.errors import UserError
from vidcm.media.copying import StreamCopy
from vidcm.media.reader import open_reader
from vidcm.media.remux import Remux
from vidcm.media.writer import VideoWriter

FAST = {"preset": "ultrafast"}


def interpolated(source: Path, target: Path) -> list[str]:
    """`source` with every frame twice, as the commands write it. Returns what was dropped."""
    options = FAST if target.suffix != ".webm" else {"cpu-used": "8"}
    with (
        open_reader(source, rotate=False) as reader,
        VideoWriter(target, reader.info, rate=Fraction(50), options=options, copy_from=source) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
            writer.write(frame, frame.instant + frame.duration / 2, frame.duration / 2)
    return writer.dropped


def packets(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        found = [packet for packet in container.demux(stream) if packet.pts is not None]
        return [(bytes(packet), packet.pts * packet.time_base) for packet in found]


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("source", [".mp4", ".mkv"])
def test_sound_is_copied_packet_for_packet_at_its_own_time(make_clip, tmp_path, source, target):
    path = make_clip(f"in{source}", audio=True, count=30)
    assert interpolated(path, tmp_path / f"out{target}") == []
    before, after = packets(path, "audio"), packets(tmp_path / f"out{target}", "audio")
    assert [data for data, _ in after] == [data for data, _ in before]
    tick = Fraction(1, 1000) if ".mkv" in (source, target) else 0
    assert max(abs(new - old) for (_, new), (_, old) in zip(after, before, strict=True)) <= tick
    with open_reader(tmp_path / f"out{target}") as reader:
        assert reader.info.rate == 50
        assert reader.info.start == 0
        assert reader.timeline.end == Fraction(30, 25)


def test_sound_of_a_transport_stream_fits_into_mp4_in_step(make_clip, tmp_path):
    """The stream's clock stands at 90 s; the sound begins 30 ms before the pictures."""
    late = [90 + Fraction(index, 25) for index in range(20)]
    path = make_clip(
        "in.ts", audio=True, instants=late, time_base=Fraction(1, 90000), sound_from=89.97, seconds_of_sound=0.8
    )
    assert interpolated(path, tmp_path / "out.mp4") == []
    with open_reader(path) as reader:
        origin = reader.info.origin
        assert 89 < origin < 91
        assert (reader.info.start - origin) % Fraction(1, 25) == 0
    before, after = packets(path, "audio"), packets(tmp_path / "out.mp4", "audio")
    assert len(before) == len(after)
    gaps = [new - (old - origin) for (_, new), (_, old) in zip(after, before, strict=True)]
    assert max(map(abs, gaps)) <= Fraction(1, 40_000)


def test_sound_that_outlasts_the_pictures_is_whole(make_clip, tmp_path):
    path = make_clip(audio=True, seconds_of_sound=3.0)
    interpolated(path, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4", "audio") == packets(path, "audio")


def test_sound_is_read_no_further_than_the_pictures_are(make_clip, tmp_path):
    """Memory stays flat: nothing is taken from the input before its time has come."""
    path = make_clip(audio=True, count=5, seconds_of_sound=6.0)
    with open_reader(path) as reader:
        info = reader.info
    with av.open(str(tmp_path / "out.mkv"), "w") as target:
        remux = Remux(path, info, target)
        (sound,) = remux._copies
        for second in (1, 2, 4):
            remux.advance(Fraction(second))
            assert second < sound._time(sound._ahead) < second + Fraction(1, 20)
        remux.close()


def test_sound_and_pictures_lie_side_by_side_in_the_file(make_clip, tmp_path):
    path = make_clip(audio=True, count=100)
    interpolated(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        places = {"audio": [], "video": []}
        for packet in container.demux():
            if packet.pts is not None:
                places[packet.stream.type].append((packet.pos, packet.dts * packet.time_base))
    time_of = dict(places["video"])
    for position, time in places["audio"]:
        before = max((other for other in time_of if other < position), default=min(time_of))
        assert abs(time_of[before] - time) < 2


def test_streams_a_container_cannot_hold_are_named_with_the_reason(make_clip, tmp_path):
    path = make_clip("in.mkv", audio=True)
    (dropped,) = interpolated(path, tmp_path / "out.webm")
    assert dropped == "audio stream 1 (aac): webm cannot hold it"
    assert (tmp_path / "out.webm").exists()


class Broken:
    """A container whose packets of sound cannot be read, or are no packets of sound."""

    def __init__(self, container: av.container.InputContainer) -> None:
        self.streams = container.streams

    def demux(self, stream):
        raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input")
        yield


def test_sound_that_cannot_be_read_is_blamed_on_the_input(make_clip, tmp_path, monkeypatch):
    path = make_clip("in.mkv", audio=True)
    init = StreamCopy.__init__
    broken = lambda self, path, source, *rest: init(self, path, Broken(source), *rest)  # noqa: E731
    monkeypatch.setattr(StreamCopy, "__init__", broken)
    with pytest.raises(UserError, match=r"in\.mkv: its audio stream 1 cannot be copied \(Invalid data") as caught:
        interpolated(path, tmp_path / "out.mp4")
    assert "out.mp4" not in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


def test_sound_that_cannot_be_muxed_is_blamed_on_the_input_and_a_full_disk_is_not(make_clip, tmp_path, monkeypatch):
    path = make_clip("in.mkv", audio=True)

    def told(error: Exception) -> str:
        with open_reader(path) as reader, av.open(str(tmp_path / "out.mkv"), "w") as target:
            remux = Remux(path, reader.info, target)
            target.start_encoding()

            class Refusing:
                def mux_one(self, packet):
                    raise error

            remux._copies[0]._target = Refusing()
            with pytest.raises((UserError, OSError)) as caught:
                remux.advance(None)
            remux.close()
        return str(caught.value)

    assert "in.mkv: its audio stream 1" in told(av.error.ArgumentError(22, "Invalid argument"))
    assert "in.mkv" not in told(av.error.OSError(28, "No space left on device"))


@pytest.fixture
def with_subtitles(make_clip, tmp_path):
    """A Matroska file with sound, a German subtitle track, a font, two chapters and a title."""
    (tmp_path / "text.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,400\n<i>Hallo</i>\n\n2\n00:00:00,500 --> 00:00:00,900\nWelt\n"
    )
    path, clip = tmp_path / "rich.mkv", make_clip(audio=True, count=25)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "text.srt")) as text, av.open(str(path), "w") as target:
        streams = {stream: target.add_stream_from_template(stream) for stream in source.streams}
        subtitle = target.add_stream_from_template(text.streams.subtitles[0])
        subtitle.metadata["language"] = "ger"
        target.add_attachment("font.ttf", "font/ttf", b"not really a font")
        target.metadata["title"] = "A walk"
        half = {"time_base": Fraction(1, 2)}
        one, two = {"title": "one"}, {"title": "two"}
        target.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1, "metadata": one, **half},
                {"id": 2, "start": 1, "end": 2, "metadata": two, **half},
            ]
        )
        for packet in text.demux():
            if packet.pts is not None:
                packet.stream = subtitle
                target.mux(packet)
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = streams[packet.stream]
                target.mux(packet)
    return path


def test_matroska_takes_subtitles_fonts_chapters_and_titles_along(with_subtitles, tmp_path):
    assert interpolated(with_subtitles, tmp_path / "out.mkv") == []
    assert packets(tmp_path / "out.mkv", "subtitle") == packets(with_subtitles, "subtitle")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "subtitle", "attachment"]
        assert container.streams[2].language == "ger"
        assert container.metadata["title"] == "A walk"
        chapters = container.chapters()
        assert [chapter["metadata"]["title"] for chapter in chapters] == ["one", "two"]
        assert [chapter["start"] * chapter["time_base"] for chapter in chapters] == [0, Fraction(1, 2)]
        assert [chapter["end"] * chapter["time_base"] for chapter in chapters] == [Fraction(1, 2), 1]
        assert bytes(container.streams[3].data) == b"not really a font"


def test_webm_names_a_font_too(with_subtitles, tmp_path):
    """Its muxer takes an attachment without a word, and writes none."""
    dropped = interpolated(with_subtitles, tmp_path / "out.webm")
    assert [line.split(" stream")[0] for line in dropped] == ["audio", "subtitle", "attachment"]
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_mp4_leaves_out_what_it_cannot_hold_and_keeps_the_rest(with_subtitles, tmp_path):
    dropped = interpolated(with_subtitles, tmp_path / "out.mp4")
    assert dropped[0] == "styles of subtitle stream 2 (srt): mp4 gets its text alone"
    assert [line.split(" stream")[0] for line in dropped[1:]] == ["attachment"]
    assert all("mp4 cannot hold it" in line for line in dropped[1:])
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["title"] == "A walk"
        assert len(container.chapters()) == 2
        assert container.streams.audio
