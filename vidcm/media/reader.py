"""Reading video: one interface, two backends. Frames come one at a time, each with its exact instant.

with open_reader("in.mp4") as reader:
    for frame in reader:
        frame.instant, frame.duration, frame.rgb
"""

import importlib
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from vidcm.core.errors import UserError
from vidcm.media.alpha import laid
from vidcm.media.info import VideoInfo, timestamps
from vidcm.media.instants import Instants
from vidcm.media.sequence import as_path
from vidcm.media.timeline import Timeline

BACKENDS = {"pyav": "vidcm.media.reader_pyav:PyAVReader", "decord": "vidcm.media.reader_decord:DecordReader"}


class VideoFrame:
    """A source frame: when it is shown, and what.

    index: position in the file, 0-based; instant, duration: seconds, exact; native: the decoder's own picture in coded
    orientation, None where the backend has none. deep: gives `samples`, as float32, of a stream with more than eight
    bits (`is_deep`); cover: gives `alpha` of one that has it; light: gives that of one of scene-linear light.
    is_damaged: whether the decoder had to make up a part of it.
    """

    def __init__(
        self,
        index: int,
        instant: Fraction,
        duration: Fraction,
        picture: Callable[[], np.ndarray],
        native: av.VideoFrame | None = None,
        deep: Callable[[], np.ndarray] | None = None,
        cover: Callable[[], np.ndarray | None] | None = None,
        light: Callable[[], np.ndarray | None] | None = None,
    ) -> None:
        self.index, self.instant, self.duration, self.native = index, instant, duration, native
        self._picture, self._deep, self._cover, self._light = picture, deep, cover, light
        self.is_deep = deep is not None
        self.is_damaged = native is not None and native.is_corrupt

    @cached_property
    def rgb(self) -> np.ndarray:
        """uint8 RGB [H, W, 3], converted with the stream's own matrix and range when first asked for."""
        return self._picture()

    @property
    def seen(self) -> np.ndarray:
        """uint8 RGB [H, W, 3]: `rgb`, and of pictures with alpha what is seen of them over grey."""
        if self.alpha is None:
            return self.rgb
        return np.rint(laid(self.rgb, self.alpha)[..., :3] * 255).astype(np.uint8)

    @cached_property
    def samples(self) -> np.ndarray:
        """RGB [H, W, 3] at full depth: float32 0..1 where the stream has more than eight bits, else `rgb` itself."""
        return self._deep() if self._deep else self.rgb

    @cached_property
    def alpha(self) -> np.ndarray | None:
        """float32 [H, W], 0..1; None where all is opaque."""
        return self._cover() if self._cover else None

    @cached_property
    def light(self) -> np.ndarray | None:
        """Scene-linear float32 RGB or associated RGBA [H, W, C], of which all else here is a display-like view."""
        return self._light() if self._light else None

    def converted(self) -> np.ndarray:
        """`samples`, which are not kept for this."""
        kept: np.ndarray | None = self.__dict__.get("samples" if self._deep else "rgb")
        return (self._deep or self._picture)() if kept is None else kept

    def forget(self) -> None:
        """Keep the decoder's picture alone: what else is asked for is converted again."""
        for name in ("rgb", "samples", "alpha", "light"):
            self.__dict__.pop(name, None)

    def __repr__(self) -> str:
        return f"VideoFrame({self.index} at {self.instant} s for {self.duration} s)"


def samples_of(frame: VideoFrame, with_alpha: bool) -> np.ndarray:
    """RGB [H, W, 3] at full depth, or straight float32 RGBA [H, W, 4] where alpha is wanted and there; linear light."""
    if frame.light is not None:
        return frame.light
    if not with_alpha or frame.alpha is None:
        return frame.samples
    colours = frame.samples / np.float32(255) if frame.samples.dtype == np.uint8 else frame.samples
    return np.dstack([colours, frame.alpha])


class VideoReader(ABC):
    """An open video. Iterating goes on from where the reader stands: the first frame, or behind the last `seek`.

    problems: what was wrong with the file, one line each, also given as MediaWarning when found. threads: that decode,
    each with a picture of its own; None: as many as there are cores.
    """

    info: VideoInfo
    problems: list[str]
    threads: int | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[VideoFrame]:
        """Frames in the order they are shown, instants rising."""

    @abstractmethod
    def seek(self, instant: Fraction) -> VideoFrame:
        """The frame that is shown at `instant`: exactly what decoding from the first frame gives there.

        Before the start it is the first frame, behind the end the last one.
        """

    @abstractmethod
    def close(self) -> None: ...

    @cached_property
    def timeline(self) -> Timeline:
        """Instants of all frames, from the packets alone; costs reading the file through once."""
        found, info = timestamps(self.info.path), self.info
        exact = Instants(found.rising(), info.time_base, info.clock.exact)
        shown = exact[bisect_left(exact, info.start) :].distinct()
        if not shown:
            return Timeline.of([info.start])
        end = info.clock.exact(shown[-1] + found.last_duration * info.time_base)
        return Timeline.of(shown, end - shown[-1] if found.last_duration else None)

    def index_at(self, instant: Fraction) -> int:
        """Index of the frame shown at `instant`, by the timeline."""
        return max(0, bisect_right(self.timeline.instants, instant) - 1)

    def nearest(self, instant: Fraction) -> int:
        """Index of the frame that begins nearest to an instant: times in lists and files are rounded."""
        instants = self.timeline.instants
        after = min(bisect_left(instants, instant), len(instants) - 1)
        before = max(0, after - 1)
        return before if instant - instants[before] < instants[after] - instant else after

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_reader(
    path: str | Path, backend: str = "pyav", *, rotate: bool = True, threads: int | None = None
) -> VideoReader:
    """Open a video file. Raises UserError, naming the file, for whatever is not one.

    backend: "pyav" or "decord". rotate: give `.rgb` upright; without it, as coded (what a writer that carries
    `info.orientation` wants). `native` is as coded either way. threads: see `VideoReader`.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown video backend {backend!r} (known: {', '.join(BACKENDS)})")
    module, name = BACKENDS[backend].split(":")
    reader: VideoReader = getattr(importlib.import_module(module), name)(as_path(path), rotate=rotate, threads=threads)
    return reader


def read_clip(
    path: str | Path, start: int = 0, count: int | None = None, *, backend: str = "pyav"
) -> tuple[np.ndarray, list[Fraction]]:
    """Frames start .. start + count (to the end without a count): uint8 RGB [T, H, W, 3], upright, and their instants.

    Raises UserError if there are not that many.
    """
    with open_reader(path, backend) as reader:
        frames: list[VideoFrame] = []
        if start and start < len(reader.timeline.instants):
            frames = [reader.seek(reader.timeline.instants[start])]
        if not start or frames:
            frames += islice(reader, None if count is None else count - len(frames))
    if not frames or (count is not None and len(frames) < count):
        wanted = "frames from" if count is None else f"{count} frames from"
        raise UserError(f"{path}: no {wanted} frame {start} on, only {len(frames)} there")
    return np.stack([frame.rgb for frame in frames]), [frame.instant for frame in frames]
