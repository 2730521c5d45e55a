"""FFmpeg's `minterpolate` filter on one pair of frames, through PyAV's filter graph.

The filter looks at four frames and invents between the middle two, so each end is shown twice and held; its own scene
detection is off. It asks for a fixed rate: one second apart, the pair is sampled at the common denominator of the
positions. The held frames cost time too: its cpu_s_per_frame is above that of the filter on a whole file.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import lcm

import av
import numpy as np

from vidcm.core.errors import UserError

FINEST = 60  # largest denominator of a position


def between(first: np.ndarray, last: np.ndarray, taus: Sequence[float]) -> list[np.ndarray]:
    """uint8 RGB [H, W, 3] each; taus strictly inside (0, 1), taken as fractions. Returns one frame for each."""
    if "minterpolate" not in av.filter.filters_available:
        raise UserError("this PyAV has no minterpolate filter: leave minterpolate out of --methods")
    positions = [Fraction(tau).limit_denominator(FINEST) for tau in taus]
    rate = lcm(*(position.denominator for position in positions))
    wanted = {1 + position for position in positions}
    found = {instant: frame for instant, frame in _interpolated([first, first, last, last, last], rate, wanted)}
    return [found[1 + position] for position in positions]


def _interpolated(frames, rate: int, wanted: set[Fraction]) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Frames one second apart -> those that the filter shows at the wanted instants, in seconds."""
    graph, source, sink = _graph(frames[0].shape, rate)
    graph.configure()  # held here: its ends do not keep it alive
    for second, pixels in enumerate([*frames, None]):
        source.push(pixels if pixels is None else _stamped(pixels, second))
        while (frame := _pull(sink)) is not None:
            instant = frame.pts * Fraction(frame.time_base)
            if instant in wanted:
                yield instant, frame.to_ndarray(format="rgb24")


def _graph(shape: tuple[int, ...], rate: int):
    graph = av.filter.Graph()
    chain = [
        graph.add("buffer", f"video_size={shape[1]}x{shape[0]}:pix_fmt=rgb24:time_base=1/1:frame_rate=1/1"),
        graph.add("format", "yuv444p"),
        graph.add("minterpolate", f"fps={rate}:mi_mode=mci:scd=none"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ]
    for left, right in pairwise(chain):
        left.link_to(right)
    return graph, chain[0], chain[-1]


def _stamped(pixels: np.ndarray, second: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = second, Fraction(1)
    return frame


def _pull(sink) -> av.VideoFrame | None:
    try:
        return sink.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
