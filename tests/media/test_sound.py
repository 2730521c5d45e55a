"""Sound of any codec and layout is stretched in its own codec where that can be, to the sample where it is lossless."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.media.pace import Pace
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter

COUNT, RATE = 12, Fraction(24)


def with_sound(path, codec, layout, rate, parts=((0.0, 0.5),)):
    """Grey pictures and a tone in every channel, in `parts` of seconds."""
    with av.open(str(path), "w") as container:
        kind = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
        video = container.add_stream(kind, rate=RATE)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream(codec, rate=rate, layout=layout)
        channels = audio.codec_context.layout.nb_channels
        for index in range(COUNT):
            picture = np.full((32, 32, 3), 20 * index, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        for start, end in parts:
            for at in range(round(start * rate), round(end * rate), 1000):
                time = np.arange(at, min(at + 1000, round(end * rate))) / rate
                tone = (8000 * np.sin(2 * np.pi * 500 * time)).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels)[None], "s16", layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
                container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def slowed(source, target, times, sound="stretch"):
    with (
        open_reader(source, rotate=False) as reader,
        VideoWriter(target, reader.info, rate=RATE, copy_from=source, pace=Pace(times, sound)) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant, frame.duration)
    return writer.dropped


def test_channels_without_names_are_taken_for_the_usual_ones(tmp_path):
    source = with_sound(tmp_path / "in.mkv", "pcm_s16le", "stereo", 48000)
    with av.open(str(source)) as container:
        assert container.streams.audio[0].codec_context.layout.name == "2 channels"
    assert slowed(source, tmp_path / "out.mp4", Fraction(2)) == []
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.layout.name == "stereo"
        count = sum(frame.samples for frame in container.decode(audio=0))
    assert count == pytest.approx(48000, abs=48)  # Matroska tells milliseconds


@pytest.mark.parametrize(
    ("name", "codec", "layout", "rate"),
    [
        ("a.mov", "pcm_s16le", "stereo", 44100),
        ("a.mkv", "flac", "5.1", 48000),
        ("a.mkv", "ac3", "5.1(side)", 48000),
        ("a.mp4", "libmp3lame", "stereo", 44100),
        ("a.webm", "libopus", "mono", 48000),
        ("a.mp4", "aac", "7.1", 48000),
    ],
)
def test_the_codec_the_layout_and_the_rate_stay(tmp_path, name, codec, layout, rate):
    source, target = with_sound(tmp_path / name, codec, layout, rate), tmp_path / f"out{name[1:]}"
    assert slowed(source, target, Fraction(5, 2)) == []
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        found = stream.codec_context.name, stream.codec_context.layout.name, stream.codec_context.sample_rate
        frames = list(container.decode(audio=0))
    with av.open(str(source)) as container:
        stream = container.streams.audio[0]
        assert found == (stream.codec_context.name, stream.codec_context.layout.name, stream.codec_context.sample_rate)
        given = list(container.decode(audio=0))
    before, after = (sum(frame.samples for frame in each) for each in (given, frames))
    if codec in ("pcm_s16le", "flac"):
        assert after == round(Fraction(5, 2) * before)
    else:
        assert after == pytest.approx(2.5 * before, abs=2 * 1536)  # whole packets


def test_sound_that_changes_its_layout_is_refused_in_one_line(tmp_path):
    """Two files in one: a transport stream may change what it carries."""
    parts = [with_sound(tmp_path / f"{layout}.ts", "ac3", layout, 48000) for layout in ("stereo", "5.1(side)")]
    joined = tmp_path / "in.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(UserError, match="cannot be stretched: convert it first, or use --sound drop") as caught:
        slowed(joined, tmp_path / "out.mp4", Fraction(2))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()
    assert slowed(joined, tmp_path / "mute.mp4", Fraction(2), "drop") == [
        "audio stream 1 (ac3): slow motion was asked for without sound"
    ]


def test_a_second_video_and_pictures_that_time_themselves_are_named():
    slow = Pace(Fraction(2))
    assert "stutter" in slow.why_not("video", "h264")
    assert "how long they are shown" in slow.why_not("subtitle", "dvd_subtitle")
    assert slow.why_not("subtitle", "subrip") is None
    assert Pace().why_not("video", "h264") is None
