"""What is measured: the model and its peers, each a function that makes the frame in the middle of a pair."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import av
import numpy as np
import torch
from torch import Tensor

from vidcm.core.around import Around
from vidcm.evaluation.baselines import BASELINES, from_bytes

Interpolator = Callable[..., Tensor]


def interpolator_of(method: str, model: str | None, steps: int = 2) -> Interpolator:
    """method: "vidcm" or the name of a baseline. model: a directory; None: the shipped one."""
    if method != "vidcm":
        return BASELINES[method]
    from vidcm.pipelines import Inbetweener, as_interpolator

    return as_interpolator(Inbetweener.load(model), steps=steps)


def run_pairs(interpolate: Interpolator, frames: Sequence[np.ndarray]) -> Iterator[None]:
    """One in-between for each pair of neighbours, as in a file; yields after each."""
    images = [None, *(from_bytes(frame) for frame in frames), None]
    for position, (first, last) in enumerate(pairwise(images[1:-1])):
        around = Around(images[position], images[position + 3])
        with torch.inference_mode():
            interpolate(first, last, [0.5], around=around, position=position)
        yield


def run_minterpolate(frames: Sequence[np.ndarray], rate: int = 24) -> Iterator[None]:
    """FFmpeg's filter at its defaults (motion compensated), as it runs over a file; yields after each made frame."""
    height, width = frames[0].shape[:2]
    graph = av.filter.Graph()
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt=yuv420p:time_base=1/{rate}:frame_rate={rate}")
    chain = [source, graph.add("minterpolate", f"fps={2 * rate}"), graph.add("buffersink")]
    for left, right in pairwise(chain):
        left.link_to(right)
    graph.configure()
    made = 0
    for index, picture in enumerate([*frames, None]):
        if picture is not None:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts = index
        source.push(None if picture is None else frame)
        while _pull(chain[-1]) is not None:
            made += 1
            if made % 2 == 0:
                yield


def _pull(sink) -> av.VideoFrame | None:
    try:
        return sink.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
