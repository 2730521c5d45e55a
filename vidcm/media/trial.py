"""A file of one small picture, written in memory and read back: what a container makes of what it is told."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
import numpy as np
from av.container import InputContainer, OutputContainer


@contextmanager
def trial(container: str, tell: Callable[[OutputContainer, av.VideoStream], object]) -> Iterator[InputContainer]:
    """tell: gets the file and its stream before anything is written. Raises what PyAV does for what cannot be."""
    held = io.BytesIO()
    with av.open(held, "w", format=container) as target:
        stream = target.add_stream("libvpx" if container == "webm" else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        tell(target, stream)
        target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")))
        target.mux(stream.encode(None))
    held.seek(0)
    with av.open(held, "r", metadata_errors="replace") as back:
        yield back
