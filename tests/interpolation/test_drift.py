"""Seven minutes of a film: the last picture and the last sound are as much in step as the first ones."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.evaluation.baselines import hold
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.stream import interpolate_file

RATE = 8000  # of the sound
IN_STEP = Fraction(1001, 24000)  # seconds


@dataclass(frozen=True)
class Film:
    path: Path
    rate: Fraction
    count: int

    @property
    def end(self) -> Fraction:
        return self.count / self.rate


# What drifts does so with time: a quarter of the frames tell as much in a quarter of the time.
QUARTER = (Fraction(6000, 1001), 2_500)
WHOLE = (Fraction(24000, 1001), 10_000)


@pytest.fixture(scope="module", params=[QUARTER, pytest.param(WHOLE, marks=pytest.mark.slow)], ids=["6 fps", "24 fps"])
def film(request, tmp_path_factory):
    """Frames of 16x16 with as much sound, a click at its start and one 0.2 s before its end."""
    made = Film(tmp_path_factory.mktemp("drift") / "film.mp4", *request.param)
    grey = [np.full((24, 16), level, np.uint8) for level in (60, 160)]
    sound = np.zeros(round(made.end * RATE), np.float32)
    for at in (RATE // 5, len(sound) - RATE // 5):
        sound[at : at + 80] = 0.9 * np.sin(np.arange(80))
    with av.open(str(made.path), "w") as container:
        video = container.add_stream("libx264", rate=made.rate, options={"preset": "ultrafast", "g": "500"})
        video.width, video.height, video.pix_fmt = 16, 16, "yuv420p"
        video.time_base = video.codec_context.time_base = 1 / made.rate
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for index in range(made.count):
            frame = av.VideoFrame.from_ndarray(grey[index // 500 % 2], "yuv420p")
            frame.pts, frame.time_base = index, 1 / made.rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, len(sound), 1024):
            part = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(part))
        container.mux(audio.encode(None))
    return made


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


def test_the_last_frame_and_its_sound_end_together(film, tmp_path):
    interpolate_file(film.path, tmp_path / "out.mp4", rule=Factor(Fraction(2)), interpolator=hold, quality="low")
    instants, end = stamps(tmp_path / "out.mp4", "video")
    assert instants == [index / (2 * film.rate) for index in range(2 * film.count)]
    assert end == film.end
    assert stamps(tmp_path / "out.mp4", "audio") == stamps(film.path, "audio")


def test_slow_motion_keeps_sound_in_step(film, tmp_path):
    interpolate_file(film.path, tmp_path / "out.mp4", rule=SlowMotion(Fraction(2)), interpolator=hold, quality="low")
    instants, end = stamps(tmp_path / "out.mp4", "video")
    assert (len(instants), instants[-1], end) == (2 * film.count, (2 * film.count - 1) / film.rate, 2 * film.end)
    _, sound_end = stamps(tmp_path / "out.mp4", "audio")
    assert abs(sound_end - 2 * film.end) < 2048 / Fraction(RATE)  # whole packets
    early, late = (new - 2 * old for new, old in zip(clicks(tmp_path / "out.mp4"), clicks(film.path), strict=True))
    assert abs(early) < IN_STEP
    assert abs(late) < IN_STEP
