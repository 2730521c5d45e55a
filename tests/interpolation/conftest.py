"""Small videos made on the spot, and an interpolator that takes notes."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidcm.core.around import ALONE, Around


def drifting(index: int, width: int, height: int) -> np.ndarray:
    """uint8 RGB [H, W, 3]: waves that drift, every frame different."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 6 + 0.4 * index), np.cos(y / 5 - 0.3 * index), np.sin((x + y) / 8 + 0.5 * index)]
    return (128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def tone(stream: av.AudioStream, seconds: float) -> Iterator[av.Packet]:
    """A 440 Hz sine."""
    rate = stream.rate
    for start in range(0, round(seconds * rate), 1024):
        time = np.arange(start, start + 1024) / rate
        frame = av.AudioFrame.from_ndarray(np.sin(2764.6 * time).astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield from stream.encode(frame)
    yield from stream.encode(None)


@pytest.fixture
def make_video(tmp_path):
    """make_video("in.mp4", rate=24, count=6) or (..., instants=[...] in seconds) -> path.

    pictures: numbers of the pictures it shows; by default each frame another."""

    def make(
        name: str = "in.mp4",
        *,
        rate: Fraction | int = 24,
        count: int = 6,
        instants: Sequence[Fraction] | None = None,
        size: tuple[int, int] = (64, 48),
        tone_s: float = 0,
        rotation: int = 0,
        pictures: Sequence[int] | None = None,
    ) -> Path:
        instants = instants or [index / Fraction(rate) for index in range(count)]
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": "10", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.time_base = stream.codec_context.time_base = 1 / Fraction(rate)
            sound = container.add_stream("aac", rate=48000, layout="mono") if tone_s else None
            if rotation:
                stream.set_display_rotation(rotation)
            for index, instant in enumerate(instants):
                number = index if pictures is None else pictures[index]
                frame = av.VideoFrame.from_ndarray(drifting(number, *size), "rgb24")
                frame.pts, frame.time_base = round(instant * rate), 1 / Fraction(rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            for packet in tone(sound, tone_s) if sound else ():
                container.mux(packet)
        return tmp_path / name

    return make


class Crossfade:
    """An Interpolator that notes its calls, (position, shot, has first, has last, taus), and what was around."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, bool, bool, list[float]]] = []
        self.around: list[Around] = []

    def __call__(self, first, last, taus, *, around=ALONE, shot=0, position=0):
        self.calls.append((position, shot, first is not None, last is not None, list(taus)))
        self.around.append(around)
        ends = (last if first is None else first), (first if last is None else last)
        return torch.stack([torch.lerp(*ends, tau) for tau in taus], dim=1)


@pytest.fixture
def crossfade() -> Crossfade:
    return Crossfade()
