"""`--overlays`: where something stands still in front of each source frame, known before the frame is used.

Subtitles are known by the frames that follow their first one, so frames wait until AHEAD more have been seen. What is
known of a frame rests on those before it, back to a fixed one: never on where a segment begins, or a part of a file.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain, takewhile
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from vidcm.interpolation.found import Found, Log
from vidcm.interpolation.groups import AHEAD, overlay_in
from vidcm.interpolation.relay import Relay, begin_for
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import whole_pictures
from vidcm.media.luma import chroma_of, luma_of
from vidcm.media.overlays import Evidence
from vidcm.media.reader import VideoFrame, open_reader
from vidcm.media.switches import Moment, moment_of, switched

Past = Callable[[Fraction], Iterable[VideoFrame]]


def no_past(first: Fraction) -> Iterable[VideoFrame]:
    """Of the beginning of a file."""
    return ()


def frames_before(info: VideoInfo, interlaced: str, threads: int | None, first: Fraction) -> Iterator[VideoFrame]:
    """Those that have to be looked at, from another reader. info: with the clock of all its packets."""
    with open_reader(info.path, rotate=False, threads=threads) as reader:
        reader.info = info
        begin = begin_for(max(0, reader.index_at(first) - 1))  # the frame before may be asked about, too
        begun = chain([reader.seek(reader.timeline.instants[begin])], reader)
        yield from takewhile(lambda frame: frame.instant < first, whole_pictures(begun, info, interlaced, []))


class _Seen(NamedTuple):
    """A frame that waits, and what is known of it so far."""

    frame: VideoFrame
    evidence: Evidence
    moment: Moment


class _Known(NamedTuple):
    """See `Overlays.of` and `Overlays.held`."""

    overlay: np.ndarray | None
    held: np.ndarray | None


NOTHING = _Known(None, None)


class Overlays:
    """Sees the source frames go by; `of` then tells of those let go. Holds AHEAD frames and some small pictures.

    begin, stop: instants before the first and from the second on frames are not shown, and not told of."""

    def __init__(self, begin: Fraction | None = None, stop: Fraction | None = None) -> None:
        self._begin, self._stop = begin, stop
        self._relay = Relay()
        self._known: WeakKeyDictionary[VideoFrame, _Known] = WeakKeyDictionary()
        self._log: Log | None = None

    def watch(
        self, frames: Iterable[VideoFrame], lead_in: VideoFrame | None = None, past: Past = no_past
    ) -> Iterator[VideoFrame]:
        """The frames themselves. lead_in: the one before them; past: gives those before an instant, in order."""
        coming = iter(frames)
        first = next(coming, None)
        if first is None:
            return
        for frame, known in self._judged(chain(past(first.instant), [first], coming)):
            if lead_in is not None and frame.instant == lead_in.instant:
                self._known[lead_in] = known
            if frame.instant < first.instant:
                continue
            self._known[frame] = known
            if known.overlay is not None and self._is_shown(frame.instant):
                self._note(frame, known.overlay)
            yield frame

    def of(self, frame: VideoFrame) -> np.ndarray | None:
        """How much each place belongs to an overlay, float32 0..1 [h, w], smaller than the frame; None: nothing."""
        return self._known.get(frame, NOTHING).overlay

    def held(self, frame: VideoFrame) -> np.ndarray | None:
        """The same with what switches before the next frame: how much each place is not to be moved until then."""
        return self._known.get(frame, NOTHING).held

    def found(self, origin: Fraction) -> list[Found]:
        """All that were seen so far. origin: instant of the first frame of the file."""
        return [] if self._log is None else self._log.found(origin)

    def _is_shown(self, instant: Fraction) -> bool:
        return (self._begin is None or instant >= self._begin) and (self._stop is None or instant < self._stop)

    def _judged(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, _Known]]:
        waiting: deque[_Seen] = deque()
        before: Moment | None = None
        for frame in frames:
            luma = luma_of(frame)
            moment = moment_of(luma, waiting[-1].moment if waiting else None)
            waiting.append(_Seen(frame, self._relay.add(frame.index, luma, *chroma_of(frame)), moment))
            if len(waiting) > AHEAD:
                yield waiting[0].frame, _known(waiting, before)
                before = waiting.popleft().moment
        while waiting:
            yield waiting[0].frame, _known(waiting, before)
            before = waiting.popleft().moment

    def _note(self, frame: VideoFrame, overlay: np.ndarray) -> None:
        if self._log is None or self._log.frames.shape != overlay.shape:
            self._log = Log(overlay.shape, frame.rgb.shape[:2])
        self._log.add(frame.instant, overlay)


def _known(waiting: Iterable[_Seen], before: Moment | None) -> _Known:
    """Of the first that waits."""
    _, evidence, moments = zip(*waiting, strict=True)
    overlay, switch = overlay_in(evidence), switched(before, moments)
    both = [each for each in (overlay, switch) if each is not None]
    return _Known(overlay, np.maximum.reduce(both) if both else None)
