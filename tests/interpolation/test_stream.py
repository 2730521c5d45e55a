import hashlib
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

DOUBLE, TO_60 = Factor(Fraction(2)), Rate(Fraction(60))


def packets(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(bytes(p), p.pts * p.time_base) for p in container.demux(stream) if p.size]


def planes(path: Path) -> dict[Fraction, list[np.ndarray]]:
    """Instant -> the decoder's own samples."""
    with open_reader(path) as reader:
        return {frame.instant: frame.native.to_ndarray() for frame in reader}


def duration(path: Path) -> Fraction:
    """Of the video, as the container states it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base if stream.duration else Fraction(container.duration, av.time_base)


def only(folder: Path, *names: str) -> bool:
    return sorted(file.name for file in folder.iterdir()) == sorted(names)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_film_becomes_60_and_lasts_as_long(make_video, crossfade, tmp_path, name):
    source = make_video(count=11)
    report = interpolate_file(source, tmp_path / name, rule=TO_60, interpolator=crossfade)
    with open_reader(tmp_path / name) as reader:
        instants = [frame.instant for frame in reader]
        assert reader.info.rate == 60
    assert instants == [Fraction(k, 60) for k in range(28)]  # 11/24 s are 27.5 frames
    assert abs(duration(tmp_path / name) - Fraction(11, 24)) <= (Fraction(1, 1000) if "mkv" in name else 0)
    assert (report.frames_in, report.frames_out, report.frames_made) == (11, 28, 20)
    assert (report.source_rate, report.rate, report.duration_s) == ("24", "60", pytest.approx(11 / 24))
    json.dumps(report.as_dict())


def test_two_runs_do_not_write_one_output(make_video, crossfade, tmp_path):
    from vidcm.media.lock import claimed

    source, target = make_video(), tmp_path / "out.mp4"
    with claimed(target), pytest.raises(UserError, match="another run is writing it"):
        interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade)
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade)
    assert only(tmp_path, "in.mp4", "out.mp4")


def test_sound_is_copied_packet_for_packet(make_video, crossfade, tmp_path):
    source = make_video(tone_s=0.4)
    interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    assert packets(source, "audio")
    assert packets(tmp_path / "out.mp4", "audio") == packets(source, "audio")


def test_source_frames_reach_the_encoder_untouched_at_their_own_instants(make_video, crossfade, tmp_path):
    instants = [Fraction(n, 25) for n in (0, 1, 4, 5, 11)]
    source = make_video(rate=25, instants=instants)
    interpolate_file(source, tmp_path / "out.mkv", rule=Factor(Fraction(5)), interpolator=crossfade, codec="ffv1")
    before, after = planes(source), planes(tmp_path / "out.mkv")
    assert list(before) == instants
    assert len(after) == 25
    for instant, samples in before.items():
        np.testing.assert_array_equal(after[instant], samples)


def test_variable_instants_are_divided_evenly(make_video, crossfade, tmp_path):
    source = make_video(rate=25, instants=[Fraction(n, 25) for n in (0, 1, 4, 5, 11)])
    interpolate_file(source, tmp_path / "out.mp4", rule=Factor(Fraction(3)), interpolator=crossfade)
    with open_reader(tmp_path / "out.mp4") as reader:
        steps = [after.instant - before.instant for before, after in pairwise(list(reader))]
    thirds = [Fraction(n, 75) for n in (1, 3, 1, 6)]
    assert steps[:12] == [step for step in thirds for _ in range(3)]


THIRTY = [Fraction(index, 30) for index in range(310)]
SIXTY = [THIRTY[-1] + Fraction(index, 60) for index in range(1, 12)]
FREE = [THIRTY[-1] + Fraction(n, 600) for n in (7, 13, 30, 31, 60)]


@pytest.mark.parametrize("later", [SIXTY, FREE], ids=["60 fps", "free"])
@pytest.mark.parametrize("factor", [Fraction(2), Fraction(5)])
def test_frames_stay_at_their_instants_where_a_constant_rate_ends(make_video, crossfade, tmp_path, later, factor):
    source = make_video(rate=600, instants=THIRTY + later, size=(16, 16))
    report = interpolate_file(source, tmp_path / "out.mp4", rule=Factor(factor), interpolator=crossfade)
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = sorted(p.pts * p.time_base for p in container.demux(video=0) if p.size)
    assert report.source_rate is None
    assert shown[:: int(factor)] == THIRTY + later
    gaps = [after - before for before, after in pairwise(shown)]
    assert gaps[0] == 1 / (30 * factor)
    assert gaps[310 * int(factor)] == (later[1] - later[0]) / factor


def late_matroska(source: Path, target: Path) -> Path:
    """The same packets 600 s later."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        copy = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.size:
                shift = round(600 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                after.mux(packet)
    return target


def test_a_file_that_starts_late_is_not_taken_for_cut_short(make_video, crossfade, tmp_path):
    source = late_matroska(make_video(count=48), tmp_path / "late.mkv")
    with open_reader(source) as reader:
        assert reader.info.start == 600
        assert reader.info.duration > 600  # it counts from zero
    report = interpolate_file(source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade)
    assert (report.frames_out, report.problems) == (96, [])


def test_ntsc_instants_are_exact(make_video, crossfade, tmp_path):
    source = make_video(rate=Fraction(24000, 1001))
    interpolate_file(source, tmp_path / "out.mp4", rule=Rate(Fraction(60000, 1001)), interpolator=crossfade)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        instants = sorted(p.pts * p.time_base for p in container.demux(stream) if p.size)
    assert instants == [k * Fraction(1001, 60000) for k in range(15)]


def test_a_rotated_video_stays_rotated_and_is_made_as_coded(make_video, crossfade, tmp_path):
    source = make_video(rotation=90)
    report = interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    with open_reader(source) as before, open_reader(tmp_path / "out.mp4") as after:
        assert not before.info.orientation.is_upright
        assert after.info.orientation == before.info.orientation
        assert next(iter(after)).rgb.shape == (64, 48, 3)
    assert (report.width, report.height) == (64, 48)


def test_odd_sizes_stay(make_video, crossfade, tmp_path):
    source = make_video(count=4)
    interpolate_file(source, tmp_path / "even.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 63, 47, "yuv420p"
        for value in (10, 90, 200):
            frame = av.VideoFrame.from_ndarray(np.full((47, 63, 3), value, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    interpolate_file(odd, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    with open_reader(tmp_path / "out.mp4") as reader:
        assert [frame.rgb.shape for frame in reader] == [(47, 63, 3)] * 6


def test_progress_rises_to_the_whole(make_video, crossfade, tmp_path):
    seen = []
    note = lambda *counts: seen.append(counts)  # noqa: E731
    interpolate_file(make_video(), tmp_path / "out.mp4", rule=TO_60, interpolator=crossfade, progress=note)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (15, 15)
    assert {expected for _, expected in seen} == {15}


@pytest.mark.parametrize("failure", [ValueError("broken"), KeyboardInterrupt(), UserError("no")])
def test_whatever_happens_nothing_is_left_behind(make_video, tmp_path, failure):
    def fails(first, last, taus, *, position, **_):
        if position == 3:
            raise failure
        return first[:, None].expand(-1, len(taus), -1, -1)

    source = make_video(tone_s=0.4)
    with pytest.raises(type(failure)):
        interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=fails)
    assert only(tmp_path, "in.mp4")


def test_an_older_output_stays_until_the_new_one_is_whole(make_video, crossfade, tmp_path):
    def fails(*args, **kwargs):
        raise UserError("no")

    source, target = make_video(), tmp_path / "out.mp4"
    target.write_bytes(b"older")
    with pytest.raises(UserError):
        interpolate_file(source, target, rule=DOUBLE, interpolator=fails)
    assert target.read_bytes() == b"older"
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade)
    assert target.read_bytes() != b"older"


def test_the_input_is_not_touched(make_video, crossfade, tmp_path):
    source = make_video()
    before = hashlib.sha256(source.read_bytes()).digest()
    interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    assert hashlib.sha256(source.read_bytes()).digest() == before


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_sound_that_outlasts_the_pictures_is_no_damage(make_video, crossfade, tmp_path, name):
    source = make_video("in." + name[-3:], count=20, tone_s=1.5)
    interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    assert len(planes(tmp_path / "out.mp4")) == 40


def test_in_betweens_are_as_bright_as_their_source_frames(crossfade, tmp_path):
    """Of a camera that uses codes above white."""
    source, target = tmp_path / "bright.mkv", tmp_path / "out.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for code in (251, 251, 200, 200):  # the last ones need no more than eight bits
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane, value in zip(frame.planes, (code, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    lumas = [plane[0, 0] for plane in planes(target).values()]
    assert lumas == pytest.approx([251, 251, 251, 225.5, 200, 200, 200, 200], abs=0.6)
    report = interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, preview=Fraction(1, 8))
    assert report.width == 128  # frames of both kinds side by side
