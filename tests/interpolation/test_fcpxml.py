"""Markers as FCPXML: well formed, as Apple documents it, and at the very instants of the output's frames."""

import json
import sys
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import av
import pytest
import torch

from vidcm.core.judged import Judged
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.timecode import Timecode

DOUBLE = Factor(Fraction(2))
SCORES = [0.9, 0.3, 0.2, 0.8, 0.1, 0.7, 0.4]  # of the pairs of eight frames
NTSC = Fraction(30000, 1001)

# Element -> its children in their order (* any number), attributes it must have, and those it may have: the part of
# Apple's document type definition of FCPXML 1.9 that is used.
STRUCTURE = {
    "fcpxml": (["resources", "library"], {"version"}, set()),
    "resources": (["format", "asset"], set(), set()),
    "format": ([], {"id"}, {"frameDuration", "fieldOrder", "width", "height", "paspH", "paspV", "colorSpace"}),
    "asset": (
        ["media-rep"],
        {"id"},
        {"name", "start", "duration", "hasVideo", "format", "hasAudio", "audioSources", "audioChannels", "audioRate"},
    ),
    "media-rep": ([], {"src"}, {"kind"}),
    "library": (["event"], set(), set()),
    "event": (["project"], set(), {"name"}),
    "project": (["sequence"], set(), {"name"}),
    "sequence": (["note?", "spine"], {"format"}, {"duration", "tcStart", "tcFormat"}),
    "note": ([], set(), set()),
    "spine": (["asset-clip"], set(), set()),
    "asset-clip": (["marker*"], {"ref", "duration"}, {"name", "offset", "start", "format", "tcFormat"}),
    "marker": ([], {"start", "value"}, {"duration", "note"}),
}


def scoring(first, last, taus, *, position, **_):
    score = SCORES[position]
    return Judged(torch.full((3, len(taus), *first.shape[1:]), score), torch.full((len(taus),), score))


def told(source: Path, target: Path, rule=DOUBLE, doubtful: float = 0.5) -> tuple[ElementTree.Element, list[dict]]:
    """The document, checked against STRUCTURE, and the frames of the JSON report."""
    with Ledger(doubtful) as ledger:
        report = interpolate_file(source, target, rule=rule, interpolator=scoring, ledger=ledger).as_dict()
        for ending in (".fcpxml", ".json"):
            write_report(target.with_suffix(ending), report, ledger)
    text = target.with_suffix(".fcpxml").read_bytes()
    assert text.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.9">')
    root = ElementTree.fromstring(text)
    for element in root.iter():
        children, needed, allowed = STRUCTURE[element.tag]
        kinds = [each.rstrip("*?") for each in children]
        found = [child.tag for child in element]
        assert found == sorted(found, key=kinds.index)
        for each, kind in zip(children, kinds, strict=True):
            assert each.endswith("*") or found.count(kind) in ([0, 1] if each.endswith("?") else [1])
        assert needed <= set(element.keys()) <= needed | allowed
    ids = {element.get("id") for element in root.iter()} - {None}
    assert {element.get(key) for element in root.iter() for key in ("ref", "format")} - {None} == ids
    return root, json.loads(target.with_suffix(".json").read_text())["frames"]


def time(text: str | None) -> Fraction:
    assert text is not None
    assert text.endswith("s")
    return Fraction(text[:-1])


def one(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = root.iter(name)
    return found


@pytest.mark.parametrize(
    ("rate", "rule", "expected"),
    [
        (Fraction(24), DOUBLE, Fraction(48)),
        (Fraction(24000, 1001), Factor(Fraction(5, 2)), Fraction(60000, 1001)),
        (NTSC, Rate(Fraction(60)), Fraction(60)),
        (NTSC, SlowMotion(Fraction(7, 3)), NTSC),
    ],
    ids=str,
)
def test_a_marker_begins_at_the_instant_of_its_frame_and_ends_with_its_last(make_video, tmp_path, rate, rule, expected):
    root, frames = told(make_video(rate=rate, count=8), tmp_path / "out.mp4", rule)
    step, clip = time(one(root, "format").get("frameDuration")), one(root, "asset-clip")
    assert step == 1 / expected
    low = [frame["score"] is not None and frame["score"] < 0.5 for frame in frames]
    made = [index for index, frame in enumerate(frames) if frame["score"] is not None]
    begins = [
        at for before, at in zip([None, *made], made, strict=False) if low[at] and (before is None or not low[before])
    ]
    ends = [
        at for at, after in zip(made, [*made[1:], None], strict=True) if low[at] and (after is None or not low[after])
    ]
    markers = list(root.iter("marker"))
    assert [time(marker.get("start")) for marker in markers] == [Fraction(frames[at]["instant"]) for at in begins]
    behind = [time(marker.get("start")) + time(marker.get("duration")) for marker in markers]
    assert behind == [Fraction(frames[at]["instant"]) + step for at in ends]
    for element in root.iter():
        for key in ("start", "duration", "offset", "tcStart"):
            assert element.get(key) is None or (time(element.get(key)) / step).denominator == 1
    assert time(clip.get("duration")) == len(frames) * step
    assert {element.get("duration") for element in root.iter() if element.tag in ("asset", "sequence")} == {
        clip.get("duration")
    }


def test_a_marker_tells_score_time_and_frames(make_video, tmp_path):
    root, _ = told(make_video(count=8), tmp_path / "out.mp4")
    assert [(marker.get("value"), marker.get("note")) for marker in root.iter("marker")] == [
        ("confidence 0.20, 2 frames", "0.062 s to 0.104 s, frames 3 to 5, made of source frames 1 to 3"),
        ("confidence 0.10, 1 frame", "0.188 s, frame 9, made of source frames 4 to 5"),
        ("confidence 0.40, 1 frame", "0.271 s, frame 13, made of source frames 6 to 7"),
    ]


def test_without_doubt_there_are_no_markers(make_video, tmp_path):
    root, _ = told(make_video(count=8), tmp_path / "out.mp4", doubtful=0.05)
    assert list(root.iter("marker")) == []


def test_the_asset_is_the_file_with_its_size_and_sound(make_video, tmp_path):
    target = tmp_path / "a & <b> ü.mp4"
    root, _ = told(make_video(count=8, tone_s=0.3, rotation=90), target)
    asset, source = one(root, "asset"), urlsplit(one(root, "media-rep").get("src"))
    assert (source.scheme, Path(unquote(source.path))) == ("file", target.absolute())
    assert asset.get("name") == target.name
    sound = {key: value for key, value in asset.items() if "udio" in key}
    assert sound == {"hasAudio": "1", "audioSources": "1", "audioChannels": "1", "audioRate": "48000"}
    assert (one(root, "format").get("width"), one(root, "format").get("height")) == ("48", "64")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_name_that_xml_cannot_hold_leads_to_the_file_all_the_same(make_video, tmp_path):
    target = tmp_path / b"\x01\xff.mp4".decode("utf-8", "surrogateescape")
    root, _ = told(make_video(count=3), target)
    assert unquote(urlsplit(one(root, "media-rep").get("src")).path, errors="surrogateescape") == str(target)
    assert one(root, "asset").get("name") == "??.mp4"


@pytest.mark.parametrize(
    ("told_by_file", "counting", "frames"),
    [("01:00:00:00", "NDF", 216000), ("01:00:00;00", "DF", 215784), (None, "DF", 0)],
)
def test_the_clock_begins_at_the_files_own_timecode(make_video, tmp_path, told_by_file, counting, frames):
    """Drop-frame changes how frames are called, and no instant."""
    source = make_video(rate=NTSC, count=8)
    if told_by_file:
        source = with_timecode(source, told_by_file)
    root, listed = told(source, tmp_path / "out.mov")
    clip, sequence = one(root, "asset-clip"), one(root, "sequence")
    begin = frames / (2 * NTSC)
    assert {time(clip.get("start")), time(clip.get("offset")), time(sequence.get("tcStart"))} == {begin}
    assert time(one(root, "asset").get("start")) == begin
    assert {clip.get("tcFormat"), sequence.get("tcFormat")} == {counting}
    at = [time(marker.get("start")) for marker in root.iter("marker")]
    assert at == [begin + Fraction(listed[index]["instant"]) for index in (3, 9, 13)]


def with_timecode(source: Path, timecode: str) -> Path:
    target = source.with_name("timed.mov")
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        stream.metadata["timecode"] = timecode
        for packet in read.demux(read.streams.video[0]):
            if packet.size:
                packet.stream = stream
                written.mux(packet)
    return target


def test_a_variable_rate_is_counted_in_frames_that_programs_know(make_video, tmp_path):
    instants = [Fraction(k, 24) for k in (0, 1, 3, 4, 5, 6, 7, 8)]
    root, frames = told(make_video(instants=instants), tmp_path / "out.mp4")
    step = time(one(root, "format").get("frameDuration"))
    assert step == Fraction(1, 48)  # 16 frames in 9/24 s are 42.7 a second
    assert "come at a variable rate" in one(root, "note").text
    for marker, index in zip(root.iter("marker"), (3, 9, 13), strict=True):
        assert abs(time(marker.get("start")) - Fraction(frames[index]["instant"])) <= step / 2
        assert (time(marker.get("start")) / step).denominator == 1


def test_a_relative_name_is_told_whole(make_video, tmp_path, monkeypatch):
    make_video(count=3)
    monkeypatch.chdir(tmp_path)
    root, _ = told(Path("in.mp4"), Path("out.mp4"))
    assert one(root, "media-rep").get("src") == (tmp_path / "out.mp4").as_uri()


@pytest.mark.parametrize("text", ["01:00:00:00", "10:11:12;02", "00:00:00:00"])
def test_timecodes_are_read_as_they_are_written(text):
    assert str(Timecode.parse(text)) == text


def test_what_is_no_timecode_is_none():
    assert [Timecode.parse(text) for text in ("", "1:2:3:4", "01:00:00", "01:00:00:00 x")] == [None] * 4
