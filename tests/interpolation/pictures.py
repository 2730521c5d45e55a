"""Numbered pictures made on the spot, of any pixel format that PNG, JPEG or OpenEXR holds."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidcm.media.sequence import ImageSequence, find_sequence

CODECS = {".png": "png", ".jpg": "mjpeg", ".exr": "exr"}


def save(path: Path, frames: Iterable[av.VideoFrame], **options: str) -> ImageSequence:
    """path: a pattern such as shots/f_%02d.png; its folder is made."""
    path.parent.mkdir(exist_ok=True)
    for number, frame in enumerate(frames, 1):
        context = av.CodecContext.create(CODECS[path.suffix], "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base, context.options = Fraction(1, 24), options
        context.color_range = frame.color_range
        packets = [*context.encode(frame), *context.encode(None)]
        Path(str(path) % number).write_bytes(b"".join(map(bytes, packets)))
    return find_sequence(path, Fraction(24))


def load(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def patches(dtype: type, size: tuple[int, int] = (256, 128)) -> np.ndarray:
    """RGB [H, W, 3]: eight bars, black, white and the colours between."""
    corners = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)]) * np.iinfo(dtype).max
    return np.repeat(np.repeat(corners[None].astype(dtype), size[1], axis=0), size[0] // 8, axis=1)
