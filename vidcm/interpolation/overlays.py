"""`--overlays`: where something stands still in front of each source frame, known before the frame is used.

Subtitles are known by the frames that follow their first one, so frames wait until AHEAD more have been seen. What is
known of a frame rests on those before it, back to a fixed one: never on where a segment begins, or a part of a file.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, takewhile
from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from vidcm.interpolation.relay import Relay, begin_for
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import whole_pictures
from vidcm.media.luma import luma_of
from vidcm.media.overlays import DETAIL, Evidence
from vidcm.media.reader import VideoFrame, open_reader

AHEAD = 6  # frames: what stays for fewer is not known for an overlay
NEAR = 17  # pixels around what is known for sure in which what only stays is taken for the same,
STIRRED = 2.0  # where things moved around it for so many of the last frames
ALONE = 0.1  # share of its surroundings of 5 pixels: fewer sure places are chance
JOINED = 15  # pixels between parts of one overlay
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


@dataclass(frozen=True)
class Found:
    """An overlay. x, y, width, height: the pixels it lies within, as coded; from_s, to_s: the first and the last source
    frame that shows it, seconds from the first frame of the file on; frames: so many show it."""

    x: int
    y: int
    width: int
    height: int
    from_s: float
    to_s: float
    frames: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Overlays:
    """Sees the source frames go by; `of` then tells of those let go. Holds AHEAD frames and some small pictures.

    begin, stop: instants before the first and from the second on frames are not shown, and not told of."""

    def __init__(self, begin: Fraction | None = None, stop: Fraction | None = None) -> None:
        self._begin, self._stop = begin, stop
        self._relay = Relay()
        self._known: WeakKeyDictionary[VideoFrame, np.ndarray] = WeakKeyDictionary()
        self._log: _Log | None = None

    def watch(
        self, frames: Iterable[VideoFrame], lead_in: VideoFrame | None = None, past: Past = no_past
    ) -> Iterator[VideoFrame]:
        """The frames themselves. lead_in: the one before them; past: gives those before an instant, in order."""
        coming = iter(frames)
        first = next(coming, None)
        if first is None:
            return
        for frame, overlay in self._judged(chain(past(first.instant), [first], coming)):
            if overlay is not None and lead_in is not None and frame.instant == lead_in.instant:
                self._known[lead_in] = overlay
            if frame.instant < first.instant:
                continue
            if overlay is not None:
                self._known[frame] = overlay
                if self._is_shown(frame.instant):
                    self._note(frame, overlay)
            yield frame

    def of(self, frame: VideoFrame) -> np.ndarray | None:
        """How much each place belongs to an overlay, float32 0..1 [h, w], smaller than the frame; None: nothing."""
        return self._known.get(frame)

    def found(self, origin: Fraction) -> list[Found]:
        """All that were seen so far. origin: instant of the first frame of the file."""
        return [] if self._log is None else self._log.found(origin)

    def _is_shown(self, instant: Fraction) -> bool:
        return (self._begin is None or instant >= self._begin) and (self._stop is None or instant < self._stop)

    def _judged(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, np.ndarray | None]]:
        waiting: deque[tuple[VideoFrame, Evidence]] = deque()
        for frame in frames:
            waiting.append((frame, self._relay.add(frame.index, luma_of(frame))))
            if len(waiting) > AHEAD:
                yield waiting[0][0], overlay_in([evidence for _, evidence in waiting])
                waiting.popleft()
        while waiting:
            yield waiting[0][0], overlay_in([evidence for _, evidence in waiting])
            waiting.popleft()

    def _note(self, frame: VideoFrame, overlay: np.ndarray) -> None:
        if self._log is None or self._log.frames.shape != overlay.shape:
            self._log = _Log(overlay.shape, frame.rgb.shape[:2])
        self._log.add(frame.instant, overlay)


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
    seeds *= cv2.blur(seeds, (5, 5)) > ALONE
    if not seeds.any():
        return None
    near = (cv2.dilate(seeds, np.ones((NEAR, NEAR))) > 0) & (stir > STIRRED)
    core = np.maximum(seeds, near & (stays | rests)).astype(np.float32)
    return cv2.blur(core, (3, 3))


class _Log:
    """Where overlays were and when, a few numbers for each place. size: of the frames, pixels (height, width)."""

    def __init__(self, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
        self._size = size
        self.frames = np.zeros(shape, np.int32)
        self._first, self._last = np.full(shape, np.inf), np.full(shape, -np.inf)

    def add(self, instant: Fraction, overlay: np.ndarray) -> None:
        held = overlay > 0.5
        self.frames += held
        self._first[held] = np.minimum(self._first[held], float(instant))
        self._last[held] = float(instant)

    def found(self, origin: Fraction) -> list[Found]:
        held = (self.frames > 0).astype(np.uint8)
        count, labels = cv2.connectedComponents(cv2.dilate(held, np.ones((JOINED, JOINED))))
        return [self._one(np.where(held, labels, 0) == label, float(origin)) for label in range(1, count)]

    def _one(self, places: np.ndarray, origin: float) -> Found:
        rows, columns = np.nonzero(places)
        tall, wide = (full / small for full, small in zip(self._size, places.shape, strict=True))
        left, top = round(columns.min() * wide), round(rows.min() * tall)
        right, bottom = round((columns.max() + 1) * wide), round((rows.max() + 1) * tall)
        times = round(self._first[places].min() - origin, 3), round(self._last[places].max() - origin, 3)
        return Found(left, top, right - left, bottom - top, *times, int(self.frames[places].max()))
