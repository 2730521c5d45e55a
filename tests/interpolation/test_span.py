"""`--range`: pictures, sound, subtitles, chapters and timecode of a part of a file."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidcm.core.around import ALONE
from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

DOUBLE = Factor(Fraction(2))
NTSC = Fraction(24000, 1001)
LAST = 0.002  # seconds by which a reader may take the end of a last frame that is cut short for one of its rate


def packets(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(bytes(p), p.pts * p.time_base) for p in container.demux(stream) if p.size]


def frames(path: Path) -> list[tuple[Fraction, bytes]]:
    with open_reader(path) as reader:
        return [(frame.instant, frame.native.to_ndarray().tobytes()) for frame in reader]


def part(source: Path, target: Path, text: str, interpolator, rule=DOUBLE, **how):
    return interpolate_file(source, target, rule=rule, interpolator=interpolator, span=parse_range(text), **how)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1.5-20", Fraction(3, 2), 20),
        ("90-", 90, None),
        ("-0:02", 0, 2),
        ("01:02:03.250-1:02:04", Fraction(14893, 4), 3724),
        (" 5 - 100:00 ", 5, 6000),
    ],
)
def test_times_are_seconds_or_what_a_clock_shows(text, start, end):
    span = parse_range(text)
    assert (span.start, span.end) == (start, end)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "two times, such as"),
        ("-", "two times, such as"),
        ("12", "two times, such as"),
        ("1-2-3", "two times, such as"),
        ("a-b", "two times, such as"),
        ("1e3-2e3", "two times, such as"),
        ("nan-5", "two times, such as"),
        ("5-5", "ends where it begins or before"),
        ("9-3", "ends where it begins or before"),
        ("0:75-2:00", "two times, such as"),
        ("0:61:00-2:00:00", "two times, such as"),
    ],
)
def test_what_is_no_range_is_refused_in_one_line(text, reason):
    with pytest.raises(UserError, match=reason) as caught:
        parse_range(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [24, NTSC])
def test_parts_that_meet_have_the_frames_of_the_whole(make_video, tmp_path, rate):
    def of_four(first, last, taus, *, around=ALONE, **_):
        four = (around.before, first, last, around.after)
        mean = torch.stack([first if frame is None else frame for frame in four]).mean(0)
        return torch.stack([mean] * len(taus), dim=1)

    source = make_video(rate=rate, count=30)
    interpolate_file(source, tmp_path / "whole.mkv", rule=DOUBLE, interpolator=of_four, codec="ffv1")
    whole, taken = [data for _, data in frames(tmp_path / "whole.mkv")], []
    for index, text in enumerate(["-0.4", "0.4-0.77", "0.77-"]):
        target = tmp_path / f"{index}.mov"
        report = part(source, target.with_suffix(".mkv"), text, of_four, codec="ffv1")
        shown = frames(target.with_suffix(".mkv"))
        assert shown[0][0] == 0
        assert len(shown) == report.frames_out == 2 * report.frames_in
        taken += [data for _, data in shown]
    assert taken == whole


def test_noise_is_keyed_by_the_place_in_the_file(make_video, crossfade, tmp_path):
    part(make_video(count=12), tmp_path / "out.mp4", "0.25-0.4", crossfade)
    assert [(position, shot) for position, shot, *_ in crossfade.calls] == [(6, 0), (7, 0), (8, 0)]


@pytest.mark.parametrize("rule", [DOUBLE, Rate(Fraction(60))])
def test_a_part_lasts_from_its_first_frame_to_the_first_one_behind_it(make_video, crossfade, tmp_path, rule):
    report = part(make_video(count=24), tmp_path / "out.mp4", "0.25-0.51", crossfade, rule=rule)
    with open_reader(tmp_path / "out.mp4") as reader:
        instants = [frame.instant for frame in reader]
        assert reader.timeline.end == Fraction(6, 24)  # frames 6 to 11; frame 12 is shown at 0.5
        assert reader.info.start == 0
    assert {after - before for before, after in pairwise(instants)} == {1 / rule.output_rate(Fraction(24))}
    assert (report.start_s, report.duration_s, report.frames_in) == (0.25, 0.25, 6)


@pytest.mark.parametrize(
    "rule",
    [
        Rate(Fraction(60)),
        Rate(Fraction(16)),
        Rate(Fraction(30000, 1001)),
        Factor(Fraction(5, 2)),
        SlowMotion(Fraction(3)),
    ],
)
def test_parts_that_meet_are_the_whole_at_any_rate(make_video, crossfade, tmp_path, rule):
    source, how = make_video(count=24), {"rule": rule, "interpolator": crossfade, "codec": "ffv1"}
    interpolate_file(source, tmp_path / "whole.mp4", **how | {"codec": "h264"})
    interpolate_file(source, tmp_path / "whole.mkv", **how)
    with open_reader(tmp_path / "whole.mp4") as reader:
        whole, instants = reader.timeline, reader.timeline.instants
    pictures, met = [], []
    for text in ("0-0.21", "0.21-0.5", "0.5-"):
        report = part(source, tmp_path / "part.mkv", text, crossfade, rule, codec="ffv1")
        part(source, tmp_path / "part.mp4", text, crossfade, rule)
        pictures += [data for _, data in frames(tmp_path / "part.mkv")]
        with open_reader(tmp_path / "part.mp4") as reader:
            start = sum(map(whole.duration_of, range(len(met))), instants[0])
            assert reader.timeline.instants[0] == 0
            assert report.duration_s == pytest.approx(float(reader.timeline.end), abs=LAST)
            met += [start + instant for instant in reader.timeline.instants]
            end = start + reader.timeline.end
    assert met == list(instants)
    assert float(end) == pytest.approx(float(whole.end), abs=LAST)
    assert pictures == [data for _, data in frames(tmp_path / "whole.mkv")]


def test_a_part_without_an_output_frame_is_refused(make_video, crossfade, tmp_path):
    with pytest.raises(UserError, match="within one frame of the output"):
        part(make_video(count=24), tmp_path / "out.mp4", "0.05-0.2", crossfade, rule=Rate(Fraction(4)))


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_sound_is_cut_with_the_pictures_and_in_step(make_video, crossfade, tmp_path, name):
    source = make_video(count=48, tone_s=2.0)
    part(source, tmp_path / name, "0.5-1.25", crossfade)
    before, after = packets(source, "audio"), packets(tmp_path / name, "audio")
    time_of = dict(before)
    tick = Fraction(1, 1000) if name.endswith("mkv") else Fraction(1, 48000)
    frame = Fraction(1024, 48000)
    assert all(abs(time_of[data] - Fraction(1, 2) - time) <= tick for data, time in after)
    assert after[-1][1] < Fraction(3, 4) <= after[-1][1] + frame
    if name.endswith("mkv"):
        assert 0 <= after[0][1] < frame
    else:
        assert -2 * frame <= after[0][1] <= -frame  # hidden by the edit list: the decoder's run-in


def test_what_is_heard_is_what_was_there(make_video, crossfade, tmp_path):
    """Decoded, and compared sample for sample with the decoded original."""

    def heard(path: Path) -> tuple[np.ndarray, Fraction]:
        with av.open(str(path)) as container:
            found = list(container.decode(audio=0))
        return np.concatenate([f.to_ndarray()[0] for f in found]), found[0].pts * found[0].time_base

    source = make_video(count=48, tone_s=2.0)
    part(source, tmp_path / "out.mp4", "0.5-1.25", crossfade)
    (whole, whole_from), (cut, cut_from) = heard(source), heard(tmp_path / "out.mp4")
    shift = round((Fraction(1, 2) + cut_from - whole_from) * 48000)
    length = round(Fraction(3, 4) * 48000)
    lead = round(-min(cut_from, Fraction(0)) * 48000)
    np.testing.assert_allclose(cut[lead:][:length], whole[shift + lead :][:length], atol=1e-3)


def test_a_part_may_reach_the_end_with_all_of_the_sound(make_video, crossfade, tmp_path):
    source = make_video(count=24, tone_s=1.5)
    part(source, tmp_path / "out.mp4", "0.5-", crossfade)
    assert packets(tmp_path / "out.mp4", "audio")[-1][0] == packets(source, "audio")[-1][0]
    part(source, tmp_path / "past.mp4", "0.5-99", crossfade)
    assert len(frames(tmp_path / "past.mp4")) == len(frames(tmp_path / "out.mp4")) == 24


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2-3", "--range 2-3 begins after the end of .*in.mp4, which lasts 1.000 s"),
        ("0.51-0.52", "--range 0.51-0.52 is within one frame of .*make it longer than 0.042 s"),
    ],
)
def test_a_range_without_a_frame_is_refused_and_leaves_nothing(make_video, crossfade, tmp_path, text, reason):
    source = make_video(count=24)
    with pytest.raises(UserError, match=reason):
        part(source, tmp_path / "out.mp4", text, crossfade)
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


def test_one_frame_is_a_part_with_its_in_betweens(make_video, crossfade, tmp_path):
    report = part(make_video(count=24), tmp_path / "out.mp4", "0.5-0.55", crossfade)
    assert (report.frames_in, report.frames_out, report.frames_made) == (1, 2, 1)


def with_text(path: Path, target: Path) -> Path:
    """With two chapters, a subtitle from 0.2 to 0.8 s and one from 0.9 to 1.0 s, and a timecode."""
    text = path.with_suffix(".srt")
    text.write_text("1\n00:00:00,200 --> 00:00:00,800\nHallo\n\n2\n00:00:00,900 --> 00:00:01,000\nWelt\n")
    with av.open(str(path)) as source, av.open(str(text)) as words, av.open(str(target), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        video.metadata["timecode"] = "01:00:00:00"
        subtitle = container.add_stream_from_template(words.streams.subtitles[0])
        third = Fraction(1, 3)
        container.set_chapters(
            [{"id": n, "start": n, "end": n + 1, "time_base": third, "metadata": {"title": str(n)}} for n in range(3)]
        )
        for stream, given in ((subtitle, words), (video, source)):
            for packet in given.demux():
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
    return target


def test_subtitles_chapters_and_timecode_are_cut_too(make_video, crossfade, tmp_path):
    source = with_text(make_video(count=24), tmp_path / "rich.mkv")
    assert part(source, tmp_path / "out.mkv", "0.5-0.75", crossfade).dropped == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        (shown,) = [p for p in container.demux(subtitles=0) if p.size]
        assert (bytes(shown), shown.pts, shown.duration) == (b"Hallo", 0, 250)
        tick = container.chapters()[0]["time_base"]
        spans = [(float(c["start"] * tick), float(c["end"] * tick)) for c in container.chapters()]
        assert spans == [pytest.approx((0, 1 / 6), abs=1e-3), pytest.approx((1 / 6, 1 / 4), abs=1e-3)]
        assert container.streams.video[0].metadata["TIMECODE"] == "01:00:00:24"  # 12 frames later, at twice the rate


def test_a_second_video_is_named(make_video, crossfade, tmp_path):
    clip, two = make_video(count=12), tmp_path / "two.mkv"
    with av.open(str(clip)) as source, av.open(str(two), "w") as target:
        copies = [target.add_stream_from_template(source.streams.video[0]) for _ in range(2)]
        for packet in source.demux():
            for copy in copies if packet.size else ():
                packet.stream = copy
                target.mux(packet)
    (dropped,) = part(two, tmp_path / "out.mkv", "0.1-0.3", crossfade).dropped
    assert dropped == "video stream 1 (h264): a second video cannot be cut without encoding it anew"


def test_a_transport_stream_is_cut_by_seconds_from_its_first_frame(make_video, crossfade, tmp_path):
    source = make_video("in.ts", count=24, tone_s=1.0)
    with open_reader(source) as reader:
        given = [frame.native.to_ndarray().tobytes() for frame in reader]
    part(source, tmp_path / "out.mkv", "0.5-0.75", crossfade, codec="ffv1")
    assert [data for _, data in frames(tmp_path / "out.mkv")][::2] == given[12:18]
