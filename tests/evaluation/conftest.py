"""Tiny lossless clips with known motion."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

RATE = 25


def texture(seed: int, height: int = 160, width: int = 400) -> np.ndarray:
    """Smooth random colours, uint8 RGB [H, W, 3]."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def panning(count: int, *, seed: int = 0, speed: int = 4, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """A camera that pans over a texture by `speed` pixels a frame."""
    scene = texture(seed, height, width + speed * count)
    return [scene[:, speed * index : speed * index + width].copy() for index in range(count)]


def write_clip(path: Path, frames: Sequence[np.ndarray], ticks: Sequence[int] | None = None) -> Path:
    """Losslessly, as RGB. ticks: instants in units of 1 / RATE seconds; default: constant rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=RATE, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb24"
        stream.codec_context.time_base = Fraction(1, RATE)
        for tick, pixels in zip(ticks or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """write_clip into the test's folder, by name."""
    return lambda name, frames, ticks=None: write_clip(tmp_path / name, frames, ticks)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three panning clips of 9 frames and a manifest: a and b are val, c is train."""
    path = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate("abc"):
        write_clip(path / f"{name}.mp4", panning(9, seed=seed))
    rows = ["file,split", "a.mp4,val", "b.mp4,val", "c.mp4,train"]
    (path / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
