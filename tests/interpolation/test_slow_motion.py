"""Slow motion: the plan in closed form, and files in which pictures, sound, words and chapters stay together."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import plan
from vidcm.interpolation.slow_motion import SlowMotion, parse_slow_motion
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

NTSC = Fraction(24000, 1001)
RATE = 48000


def source_frames(*instants: Fraction, last: Fraction) -> list[SimpleNamespace]:
    ends = [*instants[1:], instants[-1] + last]
    return [SimpleNamespace(instant=a, duration=b - a) for a, b in zip(instants, ends, strict=True)]


def constant(rate: Fraction, count: int) -> list[SimpleNamespace]:
    return source_frames(*(index / rate for index in range(count)), last=1 / rate)


@pytest.mark.parametrize("rate", [Fraction(24), NTSC])
@pytest.mark.parametrize("times", [Fraction(2), Fraction(4), Fraction(5, 2), Fraction(3, 2), Fraction(11, 10)])
def test_the_output_has_the_sources_rate_and_every_instant_is_where_the_source_was(rate, times):
    rule, count = SlowMotion(times), 20
    planned = list(plan(rule, constant(rate, count)))
    assert [each.instant * times for each in planned] == [k / rate for k in range(-(-count * times // 1))]
    assert len(planned) == rule.count(count, rate)
    assert rule.output_rate(rate) == rate
    shown = [each.source for each in planned if each.tau == 0 and each.instant < (count - 1) / rate]
    assert shown == list(range(0, count - 1, times.denominator))
    (step,) = rule.steps(1 / rate)
    assert all((each.instant * times / step).denominator == 1 for each in planned)


def test_another_rate_is_a_grid_on_the_slow_clock():
    rule = SlowMotion(Fraction(4), rate=Fraction(50))
    planned = list(plan(rule, constant(Fraction(30), 6)))
    assert [each.instant * 4 for each in planned] == [Fraction(k, 50) for k in range(40)]  # 6/30 s, 4 times, at 50
    assert rule.count(6, Fraction(30)) == 40


def test_a_variable_rate_stays_variable():
    instants = [Fraction(0), Fraction(1, 25), Fraction(3, 25)]
    planned = list(plan(SlowMotion(Fraction(2)), source_frames(*instants, last=Fraction(1, 25))))
    assert [each.instant * 2 * 25 for each in planned] == [0, 1, 2, 4, 6, 7]


def with_bursts(path: Path, target: Path, seconds: float, bursts: dict[float, float]) -> Path:
    """The video with sound: tones of 0.1 s, {start in seconds: Hz}, and silence between them."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    for start, pitch in bursts.items():
        time = np.arange(round(0.1 * RATE)) / RATE
        sound[round(start * RATE) :][: len(time)] = 0.5 * np.sin(2 * np.pi * pitch * time)
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        audio.metadata["language"] = "fra"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
        for start in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return target


def heard(path: Path) -> tuple[np.ndarray, Fraction]:
    """Samples, and when the first one is heard."""
    with av.open(str(path)) as container:
        found = list(container.decode(audio=0))
    return np.concatenate([f.to_ndarray()[0] for f in found]), found[0].pts * found[0].time_base


def around(sound: np.ndarray, seconds: float, reach: float) -> tuple[float, float]:
    """Of the sound around an instant: when its energy is, as a mean, and the strongest pitch in it, Hz."""
    start = round((seconds - reach) * RATE)
    part = sound[start : round((seconds + reach) * RATE)]
    assert np.square(part).sum() > 0.02 * RATE * 0.1 * 0.125, "hardly any sound there"
    middle = np.average(np.arange(len(part)), weights=np.square(part))
    return (start + middle) / RATE, pitch(part)


def pitch(sound: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 18))
    return float(spectrum.argmax() * RATE / (1 << 18))


@pytest.mark.parametrize(
    ("text", "name"), [("2", "out.mp4"), ("2.5", "out.mkv"), ("4", "out.mov"), ("4", "out.webm"), ("9", "out.mp4")]
)
def test_sound_lasts_as_long_as_the_pictures_at_its_own_pitch_and_place(make_video, crossfade, tmp_path, text, name):
    bursts = {0.2: 440.0, 0.7: 1000.0}
    source = with_bursts(make_video("mute.mp4", count=24, size=(32, 32)), tmp_path / "in.mp4", 1.0, bursts)
    rule = parse_slow_motion(text, None)
    report = interpolate_file(source, tmp_path / name, rule=rule, interpolator=crossfade)
    times = float(rule.times)
    with open_reader(tmp_path / name) as reader:
        assert abs(reader.timeline.end - rule.times) <= (Fraction(1, 1000) if name[-3:] in ("mkv", "ebm") else 0)
        assert reader.info.rate == 24
    sound, start = heard(tmp_path / name)
    sound = sound[round(-min(start, 0) * RATE) :]
    assert len(sound) / RATE == pytest.approx(times, abs=0.025)  # a packet's padding
    for at, tone in bursts.items():
        middle, strongest = around(sound, (at + 0.05) * times, 0.2 * times)
        assert middle == pytest.approx((at + 0.05) * times, abs=0.01 * times)
        assert strongest == pytest.approx(tone, rel=0.01)
    assert report.times_slower == str(rule.times)
    assert report.duration_s == pytest.approx(times)
    assert [note for note in report.dropped if "libopus" not in note] == []
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.audio[0].language == "fra"


def test_sound_of_a_part_is_that_part(make_video, crossfade, tmp_path):
    source = with_bursts(make_video("mute.mp4", count=48), tmp_path / "in.mp4", 2.0, {0.2: 440, 0.9: 700, 1.6: 990})
    interpolate_file(
        source,
        tmp_path / "out.mp4",
        rule=SlowMotion(Fraction(2)),
        interpolator=crossfade,
        span=parse_range("0.5-1.25"),
    )
    sound, _ = heard(tmp_path / "out.mp4")
    assert len(sound) / RATE == pytest.approx(1.5, abs=0.025)
    middle, strongest = around(sound, 2 * 0.45, 0.6)
    assert middle == pytest.approx(2 * 0.45, abs=0.02)
    assert strongest == pytest.approx(700, rel=0.01)


def test_sound_that_starts_late_and_has_a_gap_stays_with_its_pictures(make_video, crossfade, tmp_path):
    whole = with_bursts(make_video("mute.mp4", count=48), tmp_path / "whole.mp4", 2.0, {0.6: 440, 1.6: 990})
    with av.open(str(whole)) as given, av.open(str(tmp_path / "in.mkv"), "w") as container:
        copies = {stream.index: container.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            is_sound = packet.stream.type == "audio"
            if packet.size and not (is_sound and (packet.pts < 0.4 * RATE or 0.9 * RATE < packet.pts < 1.4 * RATE)):
                packet.stream = copies[packet.stream_index]
                container.mux(packet)
    rule = SlowMotion(Fraction(3))
    interpolate_file(tmp_path / "in.mkv", tmp_path / "out.mp4", rule=rule, interpolator=crossfade)
    sound, _ = heard(tmp_path / "out.mp4")
    middles = [around(sound, 3 * at, 0.6)[0] for at in (0.65, 1.65)]
    assert middles == pytest.approx([3 * 0.65, 3 * 1.65], abs=0.03)


def test_sound_can_be_dropped_and_is_named(make_video, crossfade, tmp_path):
    source = make_video(count=6, tone_s=0.25)
    report = interpolate_file(
        source, tmp_path / "out.mp4", rule=SlowMotion(Fraction(2)), interpolator=crossfade, sound="drop"
    )
    assert report.dropped == ["audio stream 1 (aac): slow motion was asked for without sound"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_sound_a_container_cannot_hold_is_written_in_its_own_codec_and_told(make_video, crossfade, tmp_path):
    source = make_video(count=6, tone_s=0.25)
    report = interpolate_file(source, tmp_path / "out.webm", rule=SlowMotion(Fraction(2)), interpolator=crossfade)
    assert report.dropped == ["audio stream 1: slowed down, aac is written as libopus"]


@pytest.mark.parametrize("text", ["2", "2.5"])
@pytest.mark.parametrize("target", ["out.mkv", "out.mp4"])
def test_subtitles_and_chapters_move_with_the_pictures(make_video, crossfade, tmp_path, text, target):
    video, words = make_video(count=24), tmp_path / "in.srt"
    words.write_text("1\n00:00:00,200 --> 00:00:00,400\nHallo\n\n2\n00:00:00,900 --> 00:00:01,000\n<b>Welt</b>\n")
    with (
        av.open(str(video)) as given,
        av.open(str(words)) as text_given,
        av.open(str(tmp_path / "rich.mkv"), "w") as container,
    ):
        pairs = [(given, given.streams.video[0]), (text_given, text_given.streams.subtitles[0])]
        copies = [container.add_stream_from_template(stream) for _, stream in pairs]
        tick = Fraction(1, 1000)
        container.set_chapters(
            [{"id": n, "start": 500 * n, "end": 500 * n + 500, "time_base": tick, "metadata": {}} for n in range(2)]
        )
        for (opened, _), copy in zip(pairs, copies, strict=True):
            for packet in opened.demux():
                if packet.size:
                    packet.stream = copy
                    container.mux(packet)
    rule = parse_slow_motion(text, None)
    report = interpolate_file(tmp_path / "rich.mkv", tmp_path / target, rule=rule, interpolator=crossfade)
    with av.open(str(tmp_path / target)) as container:
        chapters = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()]
        assert chapters == [(0, rule.times / 2), (rule.times / 2, rule.times)]
        lost = ["styles of subtitle stream 1 (srt): mp4 gets its text alone"] if target == "out.mp4" else []
        assert report.dropped == lost
        head = 2 if lost else 0  # how long the text is
        shown = [
            (bytes(p)[head:], p.pts * p.time_base, p.duration * p.time_base)
            for p in container.demux(subtitles=0)
            if p.size > head
        ]
    bold = b"Welt" if lost else b"<b>Welt</b>"
    expected = [(b"Hallo", "1/5", "1/5"), (bold, "9/10", "1/10")]
    assert shown == [(what, Fraction(at) * rule.times, Fraction(long) * rule.times) for what, at, long in expected]


def test_subtitles_of_mp4_move_with_the_pictures(make_video, crossfade, tmp_path):
    with av.open(str(make_video(count=24))) as given, av.open(str(tmp_path / "words.mp4"), "w") as container:
        copy, words = container.add_stream_from_template(given.streams.video[0]), container.add_stream("mov_text")
        words.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Text\n"
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = copy
                container.mux(packet)
        for start, said in ((200, b"Hallo"), (700, b"Welt")):
            packet = av.Packet(len(said).to_bytes(2, "big") + said)
            packet.stream, packet.pts, packet.dts, packet.duration = words, start, start, 100
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    rule = SlowMotion(Fraction(5, 2))
    report = interpolate_file(tmp_path / "words.mp4", tmp_path / "out.mp4", rule=rule, interpolator=crossfade)
    assert report.dropped == []
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = [
            (bytes(p)[2:], p.pts * p.time_base, p.duration * p.time_base)
            for p in container.demux(subtitles=0)
            if p.size > 2  # others are the silence between
        ]
    assert shown == [(b"Hallo", Fraction(1, 2), Fraction(1, 4)), (b"Welt", Fraction(7, 4), Fraction(1, 4))]


def test_an_offset_between_sound_and_pictures_is_stretched_too(make_video, crossfade, tmp_path):
    late = [Fraction(3 + index, 24) for index in range(12)]  # pictures begin at 1/8 s
    interpolate_file(
        make_video(instants=late), tmp_path / "out.mp4", rule=SlowMotion(Fraction(4)), interpolator=crossfade
    )
    with open_reader(tmp_path / "out.mp4") as reader:
        instants = [frame.instant for frame in reader]
    assert instants[0] == Fraction(1, 2)
    assert {after - before for before, after in pairwise(instants)} == {Fraction(1, 24)}


def test_every_source_frame_is_shown_as_it_was(make_video, crossfade, tmp_path):
    source = make_video(rate=NTSC, count=8)
    report = interpolate_file(
        source, tmp_path / "out.mkv", rule=SlowMotion(Fraction(3)), interpolator=crossfade, codec="ffv1"
    )
    with open_reader(source) as before, open_reader(tmp_path / "out.mkv") as after:
        wanted = [frame.native.to_ndarray() for frame in before]
        found = {frame.instant: frame.native.to_ndarray() for frame in after}
        assert after.info.rate == NTSC
    assert len(found) == report.frames_out == 24
    for index, picture in enumerate(wanted):
        np.testing.assert_array_equal(found[3 * index / NTSC], picture)
    assert report.frames_made == 14
    json.dumps(report.as_dict())


@pytest.mark.parametrize("text", ["1", "0.5", "0", "-2", "65", "nan", "slow", "", "1e9", "2/0"])
def test_what_is_no_slow_motion_is_refused_in_one_line(text):
    with pytest.raises(UserError, match="--slow-motion must be") as caught:
        parse_slow_motion(text, None)
    assert "\n" not in str(caught.value)
