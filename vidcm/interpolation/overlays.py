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
from vidcm.media.lines import Traced, still_lines, traced
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
    trace: Traced


class _Known(NamedTuple):
    """See `Overlays`. lines: those that stay until the next frame."""

    overlay: np.ndarray | None = None
    since: np.ndarray | None = None
    until: np.ndarray | None = None
    lines: np.ndarray | None = None


NOTHING = _Known()


class _Past(NamedTuple):
    """What of the frame before counts for the next."""

    moment: Moment | None = None
    lines: np.ndarray | None = None


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

    def since(self, frame: VideoFrame) -> np.ndarray | None:
        """The same with lines that stayed from the frame before: how much each place was not to be moved since then."""
        return self._known.get(frame, NOTHING).since

    def until(self, frame: VideoFrame) -> np.ndarray | None:
        """The same with lines that stay until the next frame, and what switches before it."""
        return self._known.get(frame, NOTHING).until

    def found(self, origin: Fraction) -> list[Found]:
        """All that were seen so far. origin: instant of the first frame of the file."""
        return [] if self._log is None else self._log.found(origin)

    def _is_shown(self, instant: Fraction) -> bool:
        return (self._begin is None or instant >= self._begin) and (self._stop is None or instant < self._stop)

    def _judged(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, _Known]]:
        waiting: deque[_Seen] = deque()
        before = _Past()
        for frame in frames:
            luma = luma_of(frame)
            moment = moment_of(luma, waiting[-1].moment if waiting else None)
            trace = traced(luma, waiting[-1].trace if waiting else None)
            waiting.append(_Seen(frame, self._relay.add(frame.index, luma, *chroma_of(frame)), moment, trace))
            if len(waiting) > AHEAD:
                known = _known(waiting, before)
                yield waiting[0].frame, known
                before = _Past(waiting.popleft().moment, known.lines)
        while waiting:
            known = _known(waiting, before)
            yield waiting[0].frame, known
            before = _Past(waiting.popleft().moment, known.lines)

    def _note(self, frame: VideoFrame, overlay: np.ndarray) -> None:
        if self._log is None or self._log.frames.shape != overlay.shape:
            self._log = Log(overlay.shape, frame.rgb.shape[:2])
        self._log.add(frame.instant, overlay)


def _known(waiting: Iterable[_Seen], before: _Past) -> _Known:
    """Of the first that waits."""
    _, evidence, moments, traces = zip(*waiting, strict=True)
    overlay, switch = overlay_in(evidence), switched(before.moment, moments)
    lines = still_lines(traces, moments[1].step) if len(moments) > 1 else None
    return _Known(overlay, _joined(overlay, before.lines), _joined(overlay, switch, lines), lines)


def _joined(*places: np.ndarray | None) -> np.ndarray | None:
    there = [each for each in places if each is not None]
    return np.maximum.reduce(there) if there else None
