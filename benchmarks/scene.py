"""Footage for the benchmarks: a textured ground that pans, and a block that crosses it."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

RATE = 24


def panning(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """uint8 RGB [height, width, 3]; the motion is 1 to 3 % of the width a frame, so that sizes are equally hard."""
    random = np.random.default_rng(0)
    cells = random.integers(0, 256, (height // 8, width // 4, 3), dtype=np.uint8)
    ground = cv2.GaussianBlur(cv2.resize(cells, (2 * width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)
    block = ground[: height // 3, : width // 6]
    for index in range(count):
        shift = 0.5 + 0.5 * np.sin(0.02 * index)
        place = np.float32([[1, 0, -shift * width], [0, 1, 0]])
        frame = cv2.warpAffine(ground, place, (width, height), flags=cv2.INTER_LINEAR)
        left = round(index * 0.02 * width) % (width - block.shape[1])
        frame[height // 3 :][: block.shape[0], left : left + block.shape[1]] = block
        yield frame


FORMATS = {  # encoder, options, pixel format and container
    "h264": ("libx264", {"crf": "20", "preset": "ultrafast"}, "yuv420p", ".mp4"),
    "prores": ("prores_ks", {"profile": "3"}, "yuv422p10le", ".mov"),
}


def write_panning(path: Path, width: int, height: int, count: int, codec: str = "h264") -> None:
    encoder, options, pix_fmt, _ = FORMATS[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for frame in panning(width, height, count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
