"""Pixels that are not square come back from Matroska and WebM, and nothing else of a file has changed."""

import shutil
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vidcm.media import matroska
from vidcm.media.matroska import CRC, TRACKS, shown_size, tell_aspect
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter

WIDE = Fraction(4, 3)


def written(source: Path, target: Path, codec: str, aspect: Fraction = WIDE) -> Path:
    with open_reader(source, rotate=False) as reader:
        info = replace(reader.info, sample_aspect=aspect)
        with VideoWriter(target, info, rate=Fraction(25), codec=codec, copy_from=source) as writer:
            for frame in reader:
                writer.write(frame, frame.instant)
    return target


def aspect(path: Path) -> Fraction:
    with open_reader(path) as reader:
        return reader.info.sample_aspect


@pytest.mark.parametrize(
    ("name", "codec"),
    [("out.mkv", each) for each in ("ffv1", "vp9", "av1", "prores", "h264")] + [("out.webm", "vp9")],
)
def test_every_codec_is_shown_as_wide_as_it_was(name, codec, make_clip, tmp_path):
    target = written(make_clip(count=2), tmp_path / name, codec)
    assert aspect(target) == WIDE
    with open_reader(target) as reader:
        assert (reader.info.width, reader.info.height, len(list(reader))) == (64, 48, 2)


def parts(path: Path) -> dict[bytes, bytes]:
    """The bodies of a file's parts by their names; where each is told to be must be where it is."""
    data = path.read_bytes()
    segment = next(each for each in matroska.elements(data, 0, len(data)) if each.name == matroska.SEGMENT)
    found = list(matroska.elements(data, segment.body, segment.end))
    starts = {each.start - segment.body: each.name for each in found}
    seek = next(each for each in found if each.name == matroska.SEEK_HEAD)
    for entry in matroska.elements(data, seek.body, seek.end):
        if entry.name == matroska.SEEK:
            name, place = (data[each.body : each.end] for each in matroska.elements(data, entry.body, entry.end))
            assert starts[int.from_bytes(place, "big")] == name
    for each in found:
        body = data[each.body : each.end]
        if body[:1] == CRC and each.name in (TRACKS, matroska.SEEK_HEAD):
            assert zlib.crc32(body[6:]) == int.from_bytes(body[2:6], "little")
    return {each.name: data[each.body : each.end] for each in found}


@pytest.mark.parametrize(("name", "codec"), [("out.mkv", "ffv1"), ("out.webm", "vp9")])
def test_all_parts_are_where_they_are_told_to_be_and_as_they_were(name, codec, make_clip, tmp_path):
    before = written(make_clip(count=2, audio=name == "out.mkv"), tmp_path / f"square-{name}", codec, Fraction(1))
    after = tmp_path / name
    shutil.copy(before, after)
    tell_aspect(after, (64, 48), WIDE)
    assert aspect(after) == WIDE
    assert after.stat().st_size == before.stat().st_size
    old, new = parts(before), parts(after)
    changed = {each for each in old if old[each] != new[each]}
    assert changed == {TRACKS, matroska.SEEK_HEAD, matroska.VOID}
    tell_aspect(after, (64, 48), Fraction(3, 2))  # another takes its place
    assert aspect(after) == Fraction(3, 2)
    assert len(parts(after)[TRACKS]) == len(new[TRACKS])
    with av.open(str(before)) as first, av.open(str(after)) as second:
        assert [bytes(packet) for packet in first.demux()] == [bytes(packet) for packet in second.demux()]


def test_what_another_program_wrote_stays_as_it_is(make_clip):
    path = make_clip("clip.mp4")
    before = path.read_bytes()
    assert not tell_aspect(path, (64, 48), WIDE)
    assert path.read_bytes() == before


def test_pixels_that_could_not_be_told_are_named(make_clip, tmp_path, monkeypatch):
    monkeypatch.setattr("vidcm.media.writer.tell_aspect", lambda *_: False)
    source = make_clip(count=1, sample_aspect=WIDE)
    with (
        open_reader(source) as reader,
        VideoWriter(tmp_path / "out.mkv", reader.info, rate=Fraction(25), copy_from=source) as writer,
    ):
        writer.write(next(iter(reader)), Fraction(0))
    assert writer.dropped == ["pixels of 4/3: the file has no place for them (write .mp4 or .mov)"]


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((720, 480), Fraction(32, 27), (720, 405)),  # 853.33 wide
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((7, 5), Fraction(10, 11), (6, 5)),  # as near as can be
    ],
)
def test_the_size_has_the_shape_of_the_picture(size, aspect, shown):
    assert shown_size(size, aspect) == shown
