"""Seven minutes at 24000/1001 fps: the last picture and the last sound are as much in step as the first ones."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vidcm.evaluation.baselines import hold
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.stream import interpolate_file

NTSC, COUNT, RATE = Fraction(24000, 1001), 10_000, 8000
END = COUNT / NTSC


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """10,000 frames of 16x16 with as much sound, a click at its start and one 0.2 s before its end."""
    path = tmp_path_factory.mktemp("drift") / "film.mp4"
    grey = [np.full((24, 16), level, np.uint8) for level in (60, 160)]
    sound = np.zeros(round(END * RATE), np.float32)
    for at in (RATE // 5, len(sound) - RATE // 5):
        sound[at : at + 80] = 0.9 * np.sin(np.arange(80))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=NTSC, options={"preset": "ultrafast", "g": "500"})
        video.width, video.height, video.pix_fmt = 16, 16, "yuv420p"
        video.time_base = video.codec_context.time_base = 1 / NTSC
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for index in range(COUNT):
            frame = av.VideoFrame.from_ndarray(grey[index // 500 % 2], "yuv420p")
            frame.pts, frame.time_base = index, 1 / NTSC
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, len(sound), 1024):
            part = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(part))
        container.mux(audio.encode(None))
    return path


def stamps(path, kind):
    """(instants of the packets in order, end of the last one), seconds."""
    with av.open(str(path)) as container:
        found = sorted((p.pts, p.duration) for p in container.demux(**{kind: 0}) if p.size)
        tick = container.streams.get({kind: 0})[0].time_base
    return [pts * tick for pts, _ in found], sum(found[-1]) * tick


def clicks(path):
    """Instants of the loudest sample in either half, seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    start, half = frames[0].pts * frames[0].time_base, len(sound) // 2
    return [float(start) + at / RATE for at in (np.abs(sound[:half]).argmax(), half + np.abs(sound[half:]).argmax())]


def test_ten_thousand_frames_and_their_sound_end_together(film, tmp_path):
    interpolate_file(film, tmp_path / "out.mp4", rule=Factor(Fraction(2)), interpolator=hold, quality="low")
    instants, end = stamps(tmp_path / "out.mp4", "video")
    assert instants == [index / (2 * NTSC) for index in range(2 * COUNT)]
    assert end == END
    assert stamps(tmp_path / "out.mp4", "audio") == stamps(film, "audio")


def test_slow_motion_of_ten_thousand_frames_keeps_sound_in_step(film, tmp_path):
    interpolate_file(film, tmp_path / "out.mp4", rule=SlowMotion(Fraction(2)), interpolator=hold, quality="low")
    instants, end = stamps(tmp_path / "out.mp4", "video")
    assert (len(instants), instants[-1], end) == (2 * COUNT, (2 * COUNT - 1) / NTSC, 2 * END)
    _, sound_end = stamps(tmp_path / "out.mp4", "audio")
    assert abs(sound_end - 2 * END) < 2048 / Fraction(RATE)  # whole packets
    early, late = (new - 2 * old for new, old in zip(clicks(tmp_path / "out.mp4"), clicks(film), strict=True))
    assert abs(early) < 1 / NTSC
    assert abs(late) < 1 / NTSC
