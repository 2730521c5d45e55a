"""`--overlays`: where something stands still in front of each source frame, known before the frame is used.

Subtitles are known by the frames that follow their first one, so frames wait until AHEAD more have been seen. What is
known of a frame rests on those before it, back to a fixed one: never on where a segment begins, or a part of a file.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, takewhile
from typing import NamedTuple
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from vidcm.interpolation.found import JOINED, Found, Log
from vidcm.interpolation.relay import Relay, begin_for
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import whole_pictures
from vidcm.media.luma import chroma_of, luma_of
from vidcm.media.overlays import DETAIL, Evidence
from vidcm.media.reader import VideoFrame, open_reader
from vidcm.media.switches import Moment, moment_of, switched

AHEAD = 6  # frames: what stays for fewer is not known for an overlay
FEW = 12  # sure places within JOINED of one another: fewer are chance, too
NEAR = 17  # pixels around what is known for sure in which what only stays is taken for the same,
STIRRED = 2.0  # where things moved around it for so many of the last frames
ALONE = 0.1  # share of its surroundings of 5 pixels: fewer sure places are chance
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


def overlay_in(evidence: Sequence[Evidence]) -> np.ndarray | None:
    """evidence: of a frame and of those after it, of one size. See `Overlays.of`."""
    now, *later = evidence
    sure, stays = now.sureness * now.is_there, now.is_there & (now.age > AHEAD) & (now.detail > DETAIL)
    rests, stir = now.rest > AHEAD, now.stir
    ahead, before = 0, now
    for then in later:
        if then.age.shape != now.age.shape:
            break
        ahead, before = ahead + (then is not before), then  # pictures: one that is shown again is no other
        is_same = then.age > ahead
        sure = np.maximum(sure, then.sureness * is_same)
        stays |= is_same & (then.age > AHEAD) & (then.detail > DETAIL)
        rests |= (then.rest > ahead) & (then.rest > AHEAD)
        stir = np.maximum(stir, then.stir)
    seeds = (sure > 0.5).astype(np.float32)
    seeds = _in_company(seeds * (cv2.blur(seeds, (5, 5)) > ALONE))
    if not seeds.any():
        return None
    window = np.ones((NEAR, NEAR))
    near, between = cv2.dilate(seeds, window), cv2.morphologyEx(seeds, cv2.MORPH_CLOSE, window)
    core = np.maximum(seeds, (near * stays + between * rests > 0) & (stir > STIRRED)).astype(np.float32)
    return cv2.blur(core, (3, 3))


def _in_company(seeds: np.ndarray) -> np.ndarray:
    """Those of groups that are large enough: a corner of cloth that is held while the rest slides makes a few."""
    _, groups = cv2.connectedComponents(cv2.dilate(seeds, np.ones((JOINED, JOINED))).astype(np.uint8))
    large = np.bincount(groups.ravel(), weights=seeds.ravel()) >= FEW
    large[0] = False
    return seeds * large[groups]
