"""`--repair` from file to file."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from vidcm.cli.interpolate import command
from vidcm.core.errors import UserError
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.repair import parse_repair
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector

DUPLICATES = frozenset({"duplicates"})
TWOS = [index // 2 for index in range(40)]


def frames(path):
    with open_reader(path) as reader:
        return [(frame.instant, frame.native.to_ndarray().tobytes()) for frame in reader]


def sound(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0)]


def test_a_file_on_twos_keeps_its_length_its_sound_and_its_pictures(make_video, crossfade, tmp_path):
    source, target = make_video("in.mkv", count=40, pictures=TWOS, tone_s=40 / 24), tmp_path / "out.mkv"
    how = {"rule": Rate(Fraction(24)), "interpolator": crossfade, "codec": "ffv1", "detector": CutDetector()}
    report = interpolate_file(source, target, repair=DUPLICATES, **how)
    before, after = frames(source), frames(target)
    assert [instant for instant, _ in before] == [instant for instant, _ in after]
    assert before[::2] == after[::2]
    assert all(old != new for (_, old), (_, new) in zip(before[3:39:2], after[3:39:2], strict=True))
    assert before[39] == after[39]  # nothing follows
    assert sound(source) == sound(target)
    assert (report.frames_in, report.frames_out, report.repeats, report.frames_made) == (40, 40, 19, 19)
    assert report.duration_s == pytest.approx(40 / 24)


def test_what_has_no_repeats_stays_as_it_was(make_video, crossfade, tmp_path):
    source = make_video(count=12)
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "codec": "ffv1"}
    plain = interpolate_file(source, tmp_path / "plain.mkv", **how)
    mended = interpolate_file(source, tmp_path / "mended.mkv", repair=DUPLICATES, **how)
    assert (plain.repeats, mended.repeats) == (0, 0)
    assert frames(tmp_path / "plain.mkv") == frames(tmp_path / "mended.mkv")


def test_parts_that_meet_are_the_whole(make_video, crossfade, tmp_path):
    source = make_video(count=40, pictures=TWOS)
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "codec": "ffv1", "repair": DUPLICATES}
    interpolate_file(source, tmp_path / "whole.mkv", **how)
    pictures = []
    for number, text in enumerate(("0-0.71", "0.71-1", "1-")):  # a part begins and ends with a repeat
        interpolate_file(source, tmp_path / f"{number}.mkv", span=parse_range(text), **how)
        pictures += [picture for _, picture in frames(tmp_path / f"{number}.mkv")]
    assert pictures == [picture for _, picture in frames(tmp_path / "whole.mkv")]


def test_what_is_done_is_told_while_the_file_is_looked_at(make_video, crossfade, tmp_path):
    told = []
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "repair": DUPLICATES}
    interpolate_file(make_video(), tmp_path / "out.mkv", survey_progress=lambda *counts: told.append(counts), **how)
    assert told == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6), (6, 6)]


def test_frames_that_a_recorder_dropped_are_made(make_video, crossfade, tmp_path):
    there = [index for index in range(40) if index not in (7, 15, 16, 30)]
    source, target = make_video(instants=[Fraction(index, 24) for index in there]), tmp_path / "out.mp4"
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade}
    report = interpolate_file(source, target, repair=frozenset({"dropped"}), **how)
    assert [instant for instant, _ in frames(target)] == [Fraction(index, 48) for index in range(80)]
    assert (report.rate, report.frames_in, report.frames_out) == ("48", 40, 80)
    assert report.filled == [round(index / 24, 6) for index in (7, 15, 16, 30)]
    assert (14, [1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6]) in [
        (call[0] + 1, pytest.approx(call[4])) for call in crossfade.calls
    ]
    without = interpolate_file(source, target, **how)
    assert (without.rate, without.frames_out, without.filled) == (None, 72, [])


def test_reports_name_the_frames_that_are_in_the_file(tmp_path, crossfade):
    """Of two shots one frame is missing in the first, and the last one of it: no in-betweens can take its place."""
    source, there = tmp_path / "in.mkv", [index for index in range(20) if index not in (4, 9)]
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in there:
            picture = np.full((48, 64, 3), 20 + 5 * index if index < 10 else 250 - index, np.uint8)
            picture[:, index : index + 8] = 128
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    how = {
        "rule": Factor(Fraction(2)),
        "interpolator": crossfade,
        "at_cuts": "hold",
        "cuts": Cuts(source, [Fraction(10, 24)]),
    }
    with Ledger() as ledger:
        report = interpolate_file(source, tmp_path / "out.mkv", repair=frozenset({"dropped"}), ledger=ledger, **how)
        told = [(entry.first, entry.last, str(entry.tau), entry.kind) for entry in ledger.entries()]
    assert report.filled == [round(index / 24, 6) for index in (4, 9)]
    assert told[5:11] == [
        (2, 3, "1/2", "made"),
        *((3, 4, f"{tau}", "source" if not Fraction(tau) else "made") for tau in ("0", "1/4", "1/2", "3/4")),
        (4, 5, "0", "source"),
    ]
    assert told[16:21] == [
        (7, 7, "0", "source"),
        (7, 7, "1/2", "made"),
        (7, 8, "0", "stand-in"),
        (7, 8, "1/2", "cut"),
        (8, 9, "0", "source"),
    ]
    assert told[-1] == (17, 18, "0", "end")


def test_a_pause_is_no_loss(make_video, crossfade, tmp_path):
    source = make_video(instants=[Fraction(index, 24) for index in (*range(10), *range(20, 30))])
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "repair": frozenset({"dropped"})}
    report = interpolate_file(source, tmp_path / "out.mp4", **how)
    assert (report.filled, report.rate, report.frames_in) == ([], None, 20)


def damaged(source: Path, target: Path, *numbers: int) -> set[Fraction]:
    """A copy in which packets `numbers`, in decoding order, lack their second half. Returns their instants."""
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        data = bytearray(source.read_bytes())
        for packet in (packets[number] for number in numbers):
            data[packet.pos + packet.size // 2 : packet.pos + packet.size] = bytes(packet.size - packet.size // 2)
        target.write_bytes(data)
        return {packets[number].pts * packets[number].time_base for number in numbers}


@pytest.mark.filterwarnings("ignore::vidcm.media.info.MediaWarning")
def test_damaged_frames_are_made_from_their_neighbours_and_listed(make_video, crossfade, tmp_path):
    source, broken, target = make_video(count=30, size=(320, 192)), tmp_path / "broken.mp4", tmp_path / "out.mkv"
    hit = damaged(source, broken, 12, 13)
    how = {"rule": Rate(Fraction(24)), "interpolator": crossfade, "codec": "ffv1"}
    report = interpolate_file(broken, target, repair=frozenset({"damaged"}), **how)
    assert set(report.filled) >= {round(float(instant), 6) for instant in hit}
    assert (report.frames_in, report.frames_out) == (30, 30)
    assert [instant for instant, _ in frames(target)] == [Fraction(index, 24) for index in range(30)]
    assert report.frames_made == len(report.filled)  # not held
    before = interpolate_file(broken, tmp_path / "as_it_is.mkv", **how)
    assert (before.filled, before.frames_made) == ([], 30 - before.frames_in)


def test_only_what_can_be_repaired_is_asked_for(make_video, tmp_path):
    with pytest.raises(UserError, match=r"--repair must be duplicates, dropped, .* got 'scratches'"):
        parse_repair("duplicates, scratches")
    run = CliRunner().invoke(command, [str(make_video()), "-o", str(tmp_path / "o.mp4"), "--fps", "24", "--repair", ""])
    assert run.exit_code == 2
    assert "--repair must be" in run.output
