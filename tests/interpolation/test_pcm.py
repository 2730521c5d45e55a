"""PCM comes along as it is, and `--range` cuts it to the sample: none of its time is missing, none of another there."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.interpolation.plan import Factor
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file

RATE, FRAME = 48000, 2000  # samples a second, and of a picture's 24th
COUNT = 24 * FRAME
KINDS = {"pcm_s16le": np.int16, "pcm_s24le": np.int32, "pcm_f32le": np.float32, "pcm_u8": np.uint8}


def numbered_samples(dtype: type) -> np.ndarray:
    """[1, 2 n] interleaved stereo, each sample another where the type has room for it."""
    count = np.arange(2 * COUNT)
    whole = (count % 30000) << 8 * (dtype is np.int32)
    return (count / (4 * COUNT) if dtype is np.float32 else whole).astype(dtype)[None]


def film(path: Path, codec: str, at: Fraction = Fraction(0)) -> Path:
    """A second of pictures, and of sound from `at` on."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout="stereo")
        samples, kind = numbered_samples(KINDS[codec]), sound.codec_context.format.name
        for index in range(24):
            picture = np.full((48, 64, 3), 9 * index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        for start in range(0, COUNT, 1024):
            frame = av.AudioFrame.from_ndarray(samples[:, 2 * start : 2 * (start + 1024)], kind, "stereo")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = start + round(at * RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def heard(path: Path) -> tuple[Fraction, np.ndarray]:
    """When the first sample is, and all of them."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(audio=0))
    return decoded[0].pts * decoded[0].time_base, np.concatenate([frame.to_ndarray() for frame in decoded], axis=1)


def part(source: Path, target: Path, text: str, crossfade) -> tuple[Fraction, np.ndarray]:
    rule, span = Factor(Fraction(2)), parse_range(text)
    interpolate_file(source, target, rule=rule, interpolator=crossfade, span=span)
    return heard(target)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "pcm_f32le"])
@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".avi"])  # the last two do not say which two channels there are
def test_mp4_gets_it_as_it_is_and_a_line_says_so(suffix, codec, crossfade, tmp_path):
    source, target = film(tmp_path / f"in{suffix}", codec), tmp_path / "out.mp4"
    report = interpolate_file(source, target, rule=Factor(Fraction(2)), interpolator=crossfade)
    given, found = heard(source), heard(target)
    assert found[0] == given[0] == 0
    np.testing.assert_array_equal(found[1], given[1])
    (line,) = report.problems
    assert line == f"audio stream 1 ({codec}) stays uncompressed, which few players of MP4 know: .mov is safer"


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_what_mp4_cannot_hold_of_it_is_told_with_what_can(suffix, crossfade, tmp_path):
    source = film(tmp_path / f"in{suffix}", "pcm_u8")
    report = interpolate_file(source, tmp_path / "out.mp4", rule=Factor(Fraction(2)), interpolator=crossfade)
    assert report.dropped == ["audio stream 1 (pcm_u8): mp4 cannot hold it, .mov can"]


def test_more_channels_than_have_a_usual_order_are_told_before_they_fail(crossfade, tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="12 channels")
        for index in range(4):
            picture = np.full((48, 64, 3), 9 * index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 12 * 1000), np.int16), "s16", "12 channels")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        container.mux([*sound.encode(frame), *sound.encode(None)])
    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade}
    report = interpolate_file(source, tmp_path / "out.mp4", **how)
    assert report.dropped == ["audio stream 1 (pcm_s16le): mp4 cannot hold it, .mov can"]
    assert interpolate_file(source, tmp_path / "out.mov", **how).dropped == []


@pytest.mark.parametrize("codec", KINDS)
@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_a_part_has_the_very_samples_of_its_time(codec, suffix, crossfade, tmp_path):
    source = film(tmp_path / f"in{suffix}", codec)
    start, samples = part(source, tmp_path / f"out{suffix}", "0.26-0.6", crossfade)  # frames 6 to 13
    assert start == 0
    np.testing.assert_array_equal(samples, heard(source)[1][:, 2 * 6 * FRAME : 2 * 14 * FRAME])


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_parts_that_meet_have_the_sound_of_the_whole(suffix, crossfade, tmp_path):
    source = film(tmp_path / f"in{suffix}", "pcm_s16le")
    parts = [part(source, tmp_path / f"{text}{suffix}", text, crossfade)[1] for text in ("-0.3", "0.3-0.71", "0.71-")]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), heard(source)[1])


def test_sound_that_begins_within_the_part_stays_where_it_is(crossfade, tmp_path):
    source = film(tmp_path / "in.mov", "pcm_s16le", at=Fraction(1, 2))
    start, samples = part(source, tmp_path / "out.mov", "0.25-0.75", crossfade)
    assert start == Fraction(1, 4)
    np.testing.assert_array_equal(samples, heard(source)[1][:, : 2 * RATE // 4])
