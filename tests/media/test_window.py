"""What of a stream that is copied lies in the output: nothing an edit list hides, and what is on when it begins."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet

from vidcm.media.reader import open_reader
from vidcm.media.window import TEXT, Window
from vidcm.media.writer import VideoWriter

HIDDEN = Fraction(3, 10)  # seconds


def begun_later(source: Path, target: Path) -> Path:
    """All its packets, the first of them before zero, which an edit list hides."""
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        copies = [container.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            if packet.size:
                shift = round(HIDDEN / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copies[packet.stream_index]
                container.mux(packet)
    return target


def copied(source: Path, target: Path) -> Path:
    with (
        open_reader(source, rotate=False) as reader,
        VideoWriter(target, reader.info, rate=Fraction(25), copy_from=source) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
    return target


def sound(path: Path) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        return [(bytes(each), each.pts * each.time_base) for each in container.demux(audio=0) if each.size]


def heard_from(path: Path) -> Fraction:
    """When the first sample is, for a player that keeps to the file."""
    with av.open(str(path)) as container:
        first = next(container.decode(audio=0))
    return first.pts * first.time_base


PACKET = Fraction(1024, 48000)


def test_sound_that_an_edit_list_hides_is_heard_nowhere(make_clip, tmp_path):
    source = begun_later(make_clip(audio=True, count=30), tmp_path / "in.mp4")
    assert sound(source)[0][1] < -Fraction(29, 100)
    copied(source, tmp_path / "out.mp4"), copied(source, tmp_path / "out.mkv")
    assert heard_from(tmp_path / "out.mp4") == heard_from(source) == 0
    given, kept = sound(source), sound(tmp_path / "out.mkv")
    assert -2 * PACKET < kept[0][1] <= -PACKET + Fraction(1, 1000)  # the run-in of the packet that sounds at zero
    assert [data for data, _ in kept] == [data for data, _ in given][-len(kept) :]
    assert max(abs(new - old) for (_, new), (_, old) in zip(kept, given[-len(kept) :], strict=True)) < Fraction(1, 1000)


def edited(path: Path, *spans: tuple[Fraction, Fraction]) -> Path:
    """Its sound by an edit list: these parts of it alone, seconds from its first sample on, one after the other."""
    data = bytearray(path.read_bytes())
    moov = data.rindex(b"moov") - 4
    of_sound = data.rindex(b"trak", moov, data.index(b"soun", moov)) - 4
    edts, elst = (data.index(name, of_sound) - 4 for name in (b"edts", b"elst"))
    (of_movie,) = struct.unpack_from(">I", data, data.index(b"mvhd", moov) + 16)
    (of_track,) = struct.unpack_from(">I", data, data.index(b"mdhd", of_sound) + 16)
    (run_in,) = struct.unpack_from(">i", data, elst + 20)
    entries = [
        struct.pack(">IiI", round((end - start) * of_movie), run_in + round(start * of_track), 2**16)
        for start, end in spans
    ]
    (size,) = struct.unpack_from(">I", data, elst)
    data[elst + 12 : elst + size] = struct.pack(">I", len(entries)) + b"".join(entries)
    for box in (moov, of_sound, edts, elst):  # behind the pictures and the sound: no offset changes
        (before,) = struct.unpack_from(">I", data, box)
        struct.pack_into(">I", data, box, before + 12 * len(entries) + 16 - size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("parts", [[(0, 0.8)], [(0, 0.3), (0.7, 1.1)]])
def test_what_an_edit_list_leaves_out_behind_the_beginning_is_not_heard(parts, name, make_clip, tmp_path):
    source, spans = make_clip(audio=True, count=30), [tuple(map(Fraction, map(str, part))) for part in parts]
    whole = [data for data, _ in sound(source)]
    places = [whole.index(data) for data, _ in sound(copied(edited(source, *spans), tmp_path / name))]
    within, touched = (
        {
            place  # from one packet before its time on, since the first is the run-in
            for place in range(1, len(whole))
            if any(start - beside < (place - 1) * PACKET and place * PACKET < end + beside for start, end in spans)
        }
        for beside in (0, 2 * PACKET)
    )
    assert within <= set(places) <= touched | {0}
    assert len(places) == len(set(places))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_what_nothing_hides_is_all_there_with_the_encoders_run_in(name, make_clip, tmp_path):
    source = make_clip(audio=True, count=10)
    assert sound(source)[0][1] == -PACKET
    assert [data for data, _ in sound(copied(source, tmp_path / name))] == [data for data, _ in sound(source)]


def words(*spans: tuple[int, int]) -> Iterator[Packet]:
    """(start, duration) in milliseconds."""
    for start, duration in spans:
        packet = Packet(b"%d" % start)
        packet.pts = packet.dts = start
        packet.duration, packet.time_base = duration, Fraction(1, 1000)
        yield packet


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([(-300, 0), (-100, 0), (200, 0), (700, 0)], {-100: 0, 200: 200}),  # pictures of a Blu-ray: until the next one
        ([(-100, 0)], {-100: 0}),
        ([(-300, 0), (-100, 0), (0, 0)], {-100: 0, 0: 0}),
        ([(-300, 100), (-100, 200), (300, 400)], {-100: 0, 300: 300}),  # they say how long
        ([(-300, 0), (-100, 50), (300, 100)], {300: 300}),  # taken away before the part begins
    ],
)
def test_words_that_are_on_when_a_part_begins_are_shown_from_its_first_frame(given, shown):
    kept = list(Window(Fraction(1, 2)).packets(words(*given), "subtitle", False))
    assert {int(bytes(packet)): packet.pts for packet in kept} == shown
    assert all((packet.pts + packet.duration) <= 500 for packet in kept)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([(-180_000, 0), (200, 0)], {200: 200}),  # it was on minutes ago, whatever it does not say
        ([(-2900, 0), (200, 100)], {-2900: 0, 200: 200}),  # as long as a text of an untold length is on
        ([(-180_000, 0), (-1000, 0)], {-1000: 0}),
        ([(-300, 400)], {-300: 0}),
    ],
)
def test_a_text_that_does_not_say_how_long_is_not_on_for_ever(given, shown):
    kept = list(Window(Fraction(1, 2)).packets(words(*given), TEXT, False))
    assert {int(bytes(packet)): packet.pts for packet in kept} == shown


def test_pictures_and_sound_keep_their_distance(make_clip, tmp_path):
    source = begun_later(make_clip(audio=True, count=30), tmp_path / "in.mp4")
    for name in ("out.mp4", "out.mkv"):
        with av.open(str(copied(source, tmp_path / name))) as container:
            first = next(container.decode(video=0))
            assert first.pts * first.time_base == 0
        with av.open(str(tmp_path / name)) as container:
            frames = [frame for frame in container.decode(audio=0) if frame.pts * frame.time_base >= 0]
        loud = np.abs(frames[0].to_ndarray()).max()
        assert loud > 0.2  # the tone, and no silence of a decoder that lacks its run-in
