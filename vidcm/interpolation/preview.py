"""`--preview 5s`: a short stretch to judge before a long run, beside the same with its source frames held.

On the left what a player shows today, or what plain slow motion would be; on the right what would be made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from vidcm.interpolation.span import Span
from vidcm.media.info import VideoInfo
from vidcm.media.reader import VideoFrame, VideoReader, samples_of

if TYPE_CHECKING:
    from vidcm.interpolation.plan import PlannedFrame
    from vidcm.interpolation.rendered import Shown

LEAST_FRAMES = 2  # of the source: below that there is nothing to interpolate


def stretch_of(reader: VideoReader, span: Span | None, length: Fraction) -> Span:
    """`length` seconds from the beginning of `span` on, or without one from the middle of the file; at least two frames
    where there are two, and no more than there is."""
    timeline, origin = reader.timeline, reader.info.start
    lasts = timeline.end - origin
    start = max(Fraction(0), (lasts - length) / 2) if span is None else span.start
    first = reader.index_at(origin + start)
    following = timeline.instants[first + LEAST_FRAMES :][:1]
    end = max([start + length, *(instant - origin for instant in following)])
    if span is not None and span.end is not None:
        end = min(end, span.end)
    return Span(start, None if end >= lasts else end, f"{float(start):.3f}-" if span is None else span.text)


def doubled(info: VideoInfo) -> VideoInfo:
    """Twice as wide as seen."""
    if info.orientation.transpose:
        return replace(info, height=2 * info.height)
    return replace(info, width=2 * info.width)


class SideBySide:
    """Sees the source frames go by, in a thread that may run ahead, and puts each output frame beside the one that is
    held meanwhile."""

    def __init__(self, info: VideoInfo, with_alpha: bool = False) -> None:
        """info: of the source; pictures are as coded, and left and right as seen. with_alpha: RGBA where there is."""
        self._with_alpha = with_alpha
        self._axis = 0 if info.orientation.transpose else 1
        self._is_mirrored = info.orientation.flip_x
        self._frames: dict[Fraction, VideoFrame] = {}  # by their instants

    def watch(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self._frames[frame.instant] = frame
            yield frame

    def put(self, planned: "PlannedFrame", shown: "Shown") -> np.ndarray:
        """The picture of an output frame; they come in order."""
        *past, held = (instant for instant in list(self._frames) if instant <= planned.instant)
        for instant in past:
            del self._frames[instant]
        halves = _alike(self._samples(self._frames[held]), self._samples(shown))
        return np.concatenate(halves[:: -1 if self._is_mirrored else 1], axis=self._axis)

    def _samples(self, shown: "Shown") -> np.ndarray:
        return samples_of(shown, self._with_alpha) if isinstance(shown, VideoFrame) else shown


def _alike(*halves: np.ndarray) -> list[np.ndarray]:
    """All float where one is: some frames of a file may need more than eight bits, and others not."""
    if len({half.dtype for half in halves}) == 1:
        return [*halves]
    return [half / np.float32(255) if half.dtype == np.uint8 else half for half in halves]
