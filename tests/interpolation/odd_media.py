"""Odd and broken media, made on the spot: what cameras, cards, downloads and editors leave behind.

Each maker writes a file and returns its path. Pictures are small, and drift.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
SIZE = 64, 48


def drawn(index: int, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    """Waves that drift, every frame different."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    waves = [np.sin(x / 6 + 0.4 * index), np.cos(y / 5 - 0.3 * index), np.sin((x + y) / 8 + 0.5 * index)]
    return av.VideoFrame.from_ndarray((128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8), "rgb24")


def video(
    path: Path,
    count: int = 50,
    size: tuple[int, int] = SIZE,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    sound_s: float = 0,
    words: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """pts: in 1/25 s, of each packet in the order of writing; codecs whose frames stand alone take any."""
    given = (
        {"libx264": {"crf": "1", "preset": "ultrafast", "g": "12", "threads": "1"}}.get(codec, {})
        if options is None
        else options
    )
    with av.open(str(path), "w", options=container or {}) as output:
        output.metadata.update(words or {})
        stream = output.add_stream(codec, rate=RATE, options=given)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        sound = output.add_stream("aac", rate=48000, layout="mono") if sound_s else None
        packets = [packet for index in range(count) for packet in stream.encode(drawn(index, size))]
        for index, packet in enumerate([*packets, *stream.encode(None)]):
            if pts is not None:
                packet.pts, packet.dts, packet.time_base = pts[index], index - 1000, Fraction(1, RATE)
            output.mux(packet)
        for start in range(0, int(sound_s * 48000), 1024) if sound else ():
            wave = np.sin(np.arange(start, start + 1024) / 17).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        if sound:
            output.mux(sound.encode(None))
    return path


def in_ten_bits(path: Path, source: Path) -> Path:
    """The pictures of another file, 24 a second, lossless."""
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p10le"
        for index, frame in enumerate(given.decode(video=0)):
            deep = frame.reformat(format="yuv420p10le")
            deep.pts, deep.time_base = index, Fraction(1, 24)
            output.mux(stream.encode(deep))
        output.mux(stream.encode(None))
    return path


def cut(path: Path, part: float) -> Path:
    """The first part of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def scratched(path: Path, seed: int, flips: int, first: float = 0.0, last: float = 1.0) -> Path:
    """With so many bytes changed between two places, given as parts of its length."""
    random, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    for place in random.integers(int(first * len(data)), int(last * len(data)), flips):
        data[place] ^= random.integers(1, 256)
    path.write_bytes(bytes(data))
    return path


def joined(path: Path, parts: Iterable[Path]) -> Path:
    """Their bytes one after the other, as `cat` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
