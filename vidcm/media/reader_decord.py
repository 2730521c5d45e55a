"""The decord backend: fast random access into short training clips. Chosen by name, never by default.

decord is no longer maintained: 8-bit only, no AV1, a whole index in memory, colours by its own matrix whatever the tags
say, and wrong frames from MPEG-TS without a word. So what it returns is checked against the container's timestamps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidcm.core.errors import UserError
from vidcm.media.reader import VideoFrame, VideoReader
from vidcm.media.reader_pyav import PyAVReader

try:
    import decord
except (ImportError, OSError) as error:  # no wheel for this platform, or one that does not load
    raise UserError(f"the decord backend is not available here ({error}); use the backend pyav") from error


class DecordReader(VideoReader):
    def __init__(self, path: Path, *, rotate: bool = True, threads: int | None = None) -> None:
        self.threads = 1
        with PyAVReader(path, threads=threads) as probe:  # the file's own word on size, colour and time
            self.info, self.problems = probe.info, probe.problems
        if not self.info.orientation.is_upright:
            raise UserError(f"{path}: decord garbles turned pictures; use the backend pyav")
        with self._refusing():
            self._video = decord.VideoReader(str(path), num_threads=self.threads)
        self._position = 0
        self._check_count()

    def __iter__(self) -> Iterator[VideoFrame]:
        while self._position < len(self.timeline.instants):
            yield self._take(self._position)

    def seek(self, instant: Fraction) -> VideoFrame:
        return self._take(self.index_at(instant))

    def close(self) -> None:
        self._video = None

    def _take(self, index: int) -> VideoFrame:
        with self._refusing():
            self._check_time(index)
            picture: np.ndarray = self._video[index].asnumpy()
        self._position = index + 1
        return VideoFrame(index, self.timeline.instants[index], self.timeline.duration_of(index), lambda: picture)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (decord.DECORDError, RuntimeError) as error:
            raise UserError(f"{self.info.path}: decord cannot read it; use the backend pyav") from error

    def _check_count(self) -> None:
        found, known = len(self._video), len(self.timeline.instants)
        if found != known:
            raise UserError(f"{self.info.path}: decord counts {found} frames of {known}; use the backend pyav")

    def _check_time(self, index: int) -> None:
        shown = self.timeline.instants[index] - self.info.start
        claimed = self._video.get_frame_timestamp(index)[0] - self._video.get_frame_timestamp(0)[0]
        if abs(claimed - shown) > self.timeline.duration_of(index) / 2:
            raise UserError(f"{self.info.path}: decord is wrong about frame {index}; use the backend pyav")
