"""Text subtitles of Matroska in MP4 and MOV: the words and their times, and nothing of what they look like."""

from fractions import Fraction

import av
import pytest

from vidcm.media.pace import Pace
from vidcm.media.reader import open_reader
from vidcm.media.text import Cue, one_by_one, plain
from vidcm.media.window import Window
from vidcm.media.writer import VideoWriter

HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,16,&Hffffff,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
SRT = [
    (100, 300, "<i>Hallo</i>, <b>Welt</b> &"),
    (300, 600, "zwei\nZeilen ~ ünd"),
    (700, 900, "<font color='#ff0000'>Ende"),
]
ASS = [
    (100, 300, r"0,0,Default,,0,0,0,,{\an8\b1}Hallo, Welt &"),
    (300, 600, r"1,0,Default,,0,0,0,,zwei\NZeilen ~ {\i1}ünd"),
    (300, 600, r"2,1,Default,,0,0,0,,{\p1}m 0 0 l 9 9{\p0}"),
    (700, 900, r"3,0,Default,,0,0,0,,Ende"),
]
VTT = [
    (start, end, words.replace("<font color='#ff0000'>", "<v Anna>").replace("&", "&amp;")) for start, end, words in SRT
]
SAID = [(100, 300, "Hallo, Welt &"), (300, 600, "zwei\nZeilen ~ ünd"), (700, 900, "Ende")]


@pytest.fixture
def make_told(make_clip, tmp_path):
    """make_told("subrip", [(start, end, text)]): a second of pictures with such texts, in milliseconds."""

    def make(codec, told, *encoding):
        with av.open(str(make_clip(count=25))) as source, av.open(str(tmp_path / "in.mkv"), "w") as target:
            video = target.add_stream_from_template(source.streams.video[0])
            text = target.add_stream(codec)
            text.codec_context.subtitle_header, text.time_base = HEADER, Fraction(1, 1000)
            text.metadata["language"] = "ger"
            for start, end, words in told:
                packet = av.Packet(words.encode(*encoding))
                packet.pts, packet.dts, packet.duration, packet.time_base = start, start, end - start, Fraction(1, 1000)
                packet.stream = text
                target.mux(packet)
            for packet in source.demux(video=0):
                if packet.pts is not None:
                    packet.stream = video
                    target.mux(packet)
        return tmp_path / "in.mkv"

    return make


def copied(source, target, **how):
    """Writes the pictures of a file with all that comes along. Returns what does not."""
    with open_reader(source) as reader, VideoWriter(target, reader.info, copy_from=source, **how) as writer:
        for frame in reader:
            writer.write(frame, frame.instant, frame.duration)
    return writer.dropped


def said(path):
    """(start, end, text) in milliseconds, pauses left out."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.subtitles
        found = [each for each in container.demux(stream) if each.size]
        texts = [bytes(each) for each in found]
        assert all(int.from_bytes(text[:2], "big") == len(text) - 2 for text in texts)
        times = [(round(each.pts * stream.time_base * 1000), each.duration * stream.time_base * 1000) for each in found]
        return [
            (start, start + round(length), text[2:].decode())
            for (start, length), text in zip(times, texts, strict=True)
            if len(text) > 2
        ]


@pytest.mark.parametrize(
    ("codec", "told", "name"), [("subrip", SRT, "srt"), ("ass", ASS, "ssa"), ("webvtt", VTT, "webvtt")]
)
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_the_words_come_along_at_their_times_and_styles_are_named(make_told, tmp_path, codec, told, name, container):
    dropped = copied(make_told(codec, told), tmp_path / f"out.{container}")
    assert dropped == [f"styles of subtitle stream 1 ({name}): {container} gets its text alone"]
    assert said(tmp_path / f"out.{container}") == SAID
    with av.open(str(tmp_path / f"out.{container}")) as back:
        assert back.streams.subtitles[0].codec_context.name == "mov_text"
        assert back.streams.subtitles[0].language == "ger"


PLAIN = [(100, 300, "Hallo, Welt 1 < 2 > 0"), (300, 600, "zwei\nZeilen - ünd"), (700, 900, "Ende")]


@pytest.mark.parametrize("codec", ["subrip", "webvtt"])
def test_of_words_that_do_not_say_how_they_look_nothing_is_lost(make_told, tmp_path, codec):
    assert copied(make_told(codec, PLAIN), tmp_path / "out.mp4") == []


@pytest.mark.parametrize("words", ["{\\an8}oben", "<i>schräg</i>", '<font color="red">rot'])
def test_one_look_at_the_end_is_enough(make_told, tmp_path, words):
    dropped = copied(make_told("subrip", [*PLAIN[:2], (700, 900, words)]), tmp_path / "out.mov")
    assert dropped == ["styles of subtitle stream 1 (srt): mov gets its text alone"]


def test_a_place_of_webvtt_is_a_look(tmp_path, make_clip):
    (tmp_path / "in.vtt").write_text("WEBVTT\n\n00:00.100 --> 00:00.400 line:10% align:left\nHallo\n")
    clip, words = make_clip(count=25), tmp_path / "in.vtt"
    with (
        av.open(str(clip)) as source,
        av.open(str(words)) as text,
        av.open(str(tmp_path / "in.mkv"), "w") as target,
    ):
        streams = [target.add_stream_from_template(each.streams[0]) for each in (source, text)]
        for each, stream in zip((text, source), reversed(streams), strict=True):
            for packet in each.demux(each.streams[0]):
                if packet.pts is not None:
                    packet.stream = stream
                    target.mux(packet)
    dropped = copied(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert dropped == ["styles of subtitle stream 1 (webvtt): mp4 gets its text alone"]


def test_a_part_and_slow_motion_have_the_words_where_they_belong(make_told, tmp_path):
    source = make_told("subrip", SRT)
    copied(source, tmp_path / "slow.mp4", pace=Pace(Fraction(2)))
    assert said(tmp_path / "slow.mp4") == [(2 * start, 2 * end, text) for start, end, text in SAID]
    copied(source, tmp_path / "part.mp4", window=Window(Fraction(1, 2)))
    assert said(tmp_path / "part.mp4") == [(100, 300, SAID[0][2]), (300, 500, SAID[1][2])]


def test_what_is_on_at_once_becomes_lines_of_one(make_told, tmp_path):
    told = [(100, 800, "unten"), (300, 600, "oben"), (300, 600, "oben"), (600, 900, "danach")]
    copied(make_told("subrip", told), tmp_path / "out.mp4")
    wanted = [(100, 300, "unten"), (300, 600, "unten\noben"), (600, 800, "unten\ndanach"), (800, 900, "danach")]
    assert said(tmp_path / "out.mp4") == wanted


@pytest.mark.parametrize(
    ("codec", "words"), [("subrip", "<i>grün, blau</i>"), ("ass", r"0,0,Default,,0,0,0,,grün, blau")]
)
def test_letters_of_another_encoding_cost_themselves_alone(make_told, tmp_path, codec, words):
    copied(
        make_told(codec, [(100, 300, words), (400, 600, SAID[2][2] if codec == "subrip" else ASS[3][2])], "latin-1"),
        tmp_path / "out.mp4",
    )
    assert said(tmp_path / "out.mp4") == [(100, 300, "gr\ufffdn, blau"), (400, 600, "Ende")]


@pytest.mark.parametrize(
    ("cues", "wanted"),
    [
        ([], []),
        ([Cue(-5, 3, "a")], [Cue(0, 3, "a")]),
        ([Cue(-5, -1, "a"), Cue(0, 2, "b")], [Cue(0, 2, "b")]),
        ([Cue(1, 4, "a"), Cue(4, 6, "b")], [Cue(1, 4, "a"), Cue(4, 6, "b")]),
        ([Cue(5, 9, "a"), Cue(2, 7, "late")], [Cue(5, 7, "a\nlate"), Cue(7, 9, "a")]),
    ],
)
def test_cues_follow_each_other(cues, wanted):
    assert list(one_by_one(cues)) == wanted


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (r"0,0,Default,,0,0,0,,a, b{\i1} c\Nd\he", "a, b c\nd\u00a0e"),
        (r"0,0,Default,,0,0,0,,{\pos(3,4)}here", "here"),
        (r"0,0,Default,,0,0,0,,{\an5\p2}m 0 0 l 1 1{\p0}then", "then"),
        (r"0,0,Default,,0,0,0,,{\p1}m 0 0 l 1 1", ""),
    ],
)
def test_marks_and_drawings_are_taken_out(event, text):
    assert plain(event) == text
