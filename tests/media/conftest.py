"""Small videos made on the spot, every frame different, so that a wrong frame or a wrong pixel is seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SAMPLE_RATE = 48000


def picture(index: int, width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    """uint8 RGB [H, W, 3]: smooth colour blobs that move, and a bar whose length counts the frames."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = 0.7 * seed + index * 0.35
    waves = [np.sin(x / 9 + phase), np.sin(y / 7 - phase + 1), np.sin((x + y) / 11 + phase + 2 + seed)]
    rgb = (110 + 70 * np.stack(waves, axis=-1)).astype(np.uint8)
    rgb[: height // 6, : 2 + (5 * index) % (width - 2)] = 235
    return rgb


@dataclass
class Recipe:
    """What to put into a file. instants: seconds; default: index / rate."""

    count: int = 12
    rate: Fraction = Fraction(25)
    width: int = 64
    height: int = 48
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict = field(default_factory=lambda: {"crf": "8", "preset": "veryfast"})
    time_base: Fraction | None = None
    instants: Sequence[Fraction] | None = None
    rotation: int = 0
    hflip: bool = False
    colour: tuple[int, int, int, int] = (2, 0, 2, 2)  # matrix, range, primaries, transfer
    sample_aspect: Fraction | None = None
    audio: bool = False
    sound_from: float = 0.0
    seconds_of_sound: float | None = None  # default: as long as the pictures
    metadata: dict = field(default_factory=dict)
    container_options: dict = field(default_factory=dict)
    gop: int = 5
    seed: int = 0


def write_clip(path: Path, recipe: Recipe) -> Path:
    tick = recipe.time_base or 1 / recipe.rate
    instants = recipe.instants or [index / recipe.rate for index in range(recipe.count)]
    with av.open(str(path), "w", options=recipe.container_options) as output:
        output.metadata.update(recipe.metadata)
        stream = output.add_stream(recipe.codec, rate=recipe.rate)
        stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
        stream.options = recipe.options
        stream.time_base = stream.codec_context.time_base = tick
        stream.codec_context.gop_size = recipe.gop
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = recipe.colour
        if recipe.sample_aspect:
            context.sample_aspect_ratio = recipe.sample_aspect
        if recipe.rotation or recipe.hflip:
            stream.set_display_rotation(recipe.rotation, hflip=recipe.hflip)
        sound = output.add_stream("aac", rate=SAMPLE_RATE) if recipe.audio else None
        for index, instant in enumerate(instants):
            rgb = av.VideoFrame.from_ndarray(picture(index, recipe.width, recipe.height, recipe.seed), "rgb24")
            frame = rgb.reformat(
                format=recipe.pix_fmt,
                dst_colorspace="ITU709" if recipe.colour[0] == 1 else "ITU601",
                src_color_range=2,
                dst_color_range=recipe.colour[1] or 1,
            )
            frame.pts, frame.time_base = round(instant / tick), tick
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            end = float(instants[-1] + 1 / recipe.rate)
            for packet in sine(sound, recipe.sound_from, recipe.sound_from + (recipe.seconds_of_sound or end)):
                output.mux(packet)
    return path


def sine(stream: av.AudioStream, begin: float, end: float) -> list:
    """Packets of a 440 Hz tone."""
    step, packets = 1024, []
    for start in range(int(begin * SAMPLE_RATE), int(end * SAMPLE_RATE), step):
        time = np.arange(start, start + step) / SAMPLE_RATE
        tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


@pytest.fixture
def make_clip(tmp_path):
    """make_clip("name.mp4", rotation=90, ...) -> path of a generated video."""

    def make(name: str = "clip.mp4", **fields) -> Path:
        return write_clip(tmp_path / name, Recipe(**fields))

    return make


@pytest.fixture
def paint():
    """picture(index, width, height, seed): what `make_clip` draws."""
    return picture
