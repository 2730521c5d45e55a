"""Frames and videos for the tests of this room, made on the spot."""

from pathlib import Path

import av
import numpy as np

from vidcm.data.synthetic import Scene, random_scene


def moving_scene(seed: int, height: int = 120, width: int = 160) -> Scene:
    return random_scene(np.random.default_rng(seed), height, width)


def scene_frames(seed: int, count: int = 12) -> np.ndarray:
    """uint8 [count, 120, 160, 3]: a rendered scene."""
    scene = moving_scene(seed)
    return np.stack([scene.render(i / (count - 1))[0] for i in range(count)])


def write_video(path: Path, frames: np.ndarray, rate: int = 25, **muxing: str) -> None:
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def numbered_frames(count: int, start: int = 0, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """A clip whose frame i has the value start + i everywhere."""
    return np.broadcast_to(
        np.arange(start, start + count, dtype=np.uint8)[:, None, None, None], (count, *size, 3)
    ).copy()
