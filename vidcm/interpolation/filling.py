"""Frames that are damaged or missing: in their place stands the last sound one, until in-betweens take it.

A damaged frame is one that the decoder flags: it made up what it could not read. What later frames take over from it is
not flagged, and stays.
"""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain, pairwise

from vidcm.interpolation.repair import DAMAGED, DROPPED
from vidcm.media.reader import VideoFrame, VideoReader
from vidcm.media.timeline import Clock

NO_INDEX = -1  # in the file, of a frame that is not there
MOST = 4  # frames of a recognised rate that are missing in one place: more are a pause


class StandIn(VideoFrame):
    """A frame shown again, at another's instant. shows: the index of that frame in the file."""

    def __init__(self, shown: VideoFrame, index: int, instant: Fraction, duration: Fraction) -> None:
        self.shows, deep = shown.index, (lambda: shown.samples) if shown.is_deep else None
        beside = (lambda: shown.alpha), (lambda: shown.light)
        super().__init__(index, instant, duration, lambda: shown.rgb, shown.native, deep, *beside)


def shown_by(frame: VideoFrame) -> int:
    """The index in the file of what a frame shows."""
    return frame.shows if isinstance(frame, StandIn) else frame.index


def places(
    reader: VideoReader, repair: frozenset[str], begin: Fraction | None = None, stop: Fraction | None = None
) -> Iterator[Fraction]:
    """Instants from `begin` up to `stop`, seconds, at which there should be a frame.

    For damaged frames those that the packets name, for dropped ones those of the recognised rate as well. None at all
    where neither is to be repaired.
    """
    if not repair & {DAMAGED, DROPPED}:
        return
    clock, instants = reader.info.clock, reader.timeline.instants
    for instant, following in pairwise(chain(instants, [None])):
        assert instant is not None
        if stop is not None and instant >= stop:
            return
        if begin is not None and instant < begin:
            continue
        yield instant
        if DROPPED in repair and following is not None:
            missing = _missing(clock, instant, following)
            if missing <= MOST:
                yield from (instant + number * clock.step for number in range(1, missing + 1))


def _missing(clock: Clock, instant: Fraction, following: Fraction) -> int:
    """Frames of a recognised rate that would have been between two instants."""
    if not clock.slack or not clock.holds(instant) or not clock.holds(following):
        return 0
    return clock.nearest(following)[0] - clock.nearest(instant)[0] - 1


def filled(
    frames: Iterable[VideoFrame],
    places: Iterable[Fraction],
    repair: frozenset[str],
    note: Callable[[Fraction], None] = lambda instant: None,
) -> Iterator[VideoFrame]:
    """The frames, with a StandIn for each damaged one and at each place where none is. note: is told of its instant.

    places: rising instants, seconds; those before the first frame do not count.
    """
    sound: VideoFrame | None = None
    early: list[VideoFrame] = []  # damaged ones before the first sound one
    waiting = chain(places, [None])
    place = next(waiting)

    def stand_in(shown: VideoFrame, index: int, instant: Fraction, duration: Fraction) -> VideoFrame:
        note(instant)
        return StandIn(shown, index, instant, duration)

    for frame in frames:
        while place is not None and place <= frame.instant:
            if sound is not None and place < frame.instant:
                yield stand_in(sound, NO_INDEX, place, frame.instant - place)
            place = next(waiting)
        if DAMAGED in repair and frame.is_damaged:
            if sound is None:
                early.append(frame)
            else:
                yield stand_in(sound, frame.index, frame.instant, frame.duration)
            continue
        yield from (stand_in(frame, each.index, each.instant, each.duration) for each in early)
        early, sound = [], frame
        yield frame
    yield from early  # there is nothing better
