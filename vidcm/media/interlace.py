"""Interlaced video: two moments in one picture, in turn line by line. Motion tears them, and so every in-between.

They are refused, made whole (FFmpeg's `bwdif`: one picture for each, at its own instant, of its first field's moment),
or taken as they are: some recorders call progressive pictures interlaced.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import av
from av.filter import Graph

from vidcm.core.errors import UserError
from vidcm.media.alpha import alpha_of
from vidcm.media.colour import Converter
from vidcm.media.filters import link, pull
from vidcm.media.info import VideoInfo
from vidcm.media.names import has_alpha
from vidcm.media.reader import VideoFrame

REFUSE, DEINTERLACE, IGNORE = "refuse", "deinterlace", "ignore"


def check_interlaced(info: VideoInfo, interlaced: str) -> None:
    """Raises UserError for a video that begins interlaced, where that is to be refused."""
    if info.interlaced and interlaced == REFUSE:
        raise UserError(
            f"{info.path}: is interlaced, its pictures show two moments each: give --interlaced deinterlace, or "
            "--interlaced ignore where it only says so"
        )


def whole_pictures(
    frames: Iterable[VideoFrame], info: VideoInfo, interlaced: str, problems: list[str]
) -> Iterator[VideoFrame]:
    """The frames, those that are interlaced made whole or as they are. problems: is told once, of the first of them."""
    noted = _noted(frames, info, interlaced, problems)
    return _deinterlaced(noted, info) if interlaced == DEINTERLACE else noted


def _noted(frames: Iterable[VideoFrame], info: VideoInfo, interlaced: str, problems: list[str]) -> Iterator[VideoFrame]:
    is_told = False
    for frame in frames:
        if not is_told and frame.native is not None and frame.native.interlaced_frame:
            is_told = True
            done = "made whole (bwdif), and none of those is as it was decoded"
            kept = "taken as they are; --interlaced deinterlace makes them whole"
            at = float(frame.instant - info.start)
            problems.append(
                f"pictures from {at:.3f} s on are interlaced: {done if interlaced == DEINTERLACE else kept}"
            )
        yield frame


def _deinterlaced(frames: Iterable[VideoFrame], info: VideoInfo) -> Iterator[VideoFrame]:
    """One frame for each; bwdif looks one ahead. Those that are not flagged as interlaced pass unchanged."""
    converter, waiting = Converter(info.colour, info.width, info.height), deque[VideoFrame]()
    graph: Graph | None = None
    for frame in frames:
        if frame.native is None:
            raise UserError(f"{info.path}: this backend has no native pictures to deinterlace: use pyav")
        if graph is None:
            graph = _graph(frame.native)
        waiting.append(frame)
        graph.push(frame.native)
        for native in _pull(graph):
            yield _made_whole(waiting.popleft(), native, converter, info)
    if graph is not None:
        graph.push(None)
        for native in _pull(graph):
            yield _made_whole(waiting.popleft(), native, converter, info)


def _made_whole(frame: VideoFrame, native: av.VideoFrame, converter: Converter, info: VideoInfo) -> VideoFrame:
    """`frame` with another picture, in coded orientation."""
    deep = (lambda: converter.to_deep_rgb(native)) if info.bit_depth > 8 else None
    cover = (lambda: alpha_of(native)) if has_alpha(native.format.name) else None
    made = VideoFrame(frame.index, frame.instant, frame.duration, lambda: converter.to_rgb(native), native, deep, cover)
    made.is_damaged = frame.is_damaged
    return made


def _graph(first: av.VideoFrame) -> Graph:
    graph = Graph()
    chain = [
        graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=first.time_base),
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("format", first.format.name),
        graph.add("buffersink"),
    ]
    return link(graph, chain)


def _pull(graph: Graph) -> Iterator[av.VideoFrame]:
    return (frame for frame in pull(graph) if isinstance(frame, av.VideoFrame))
