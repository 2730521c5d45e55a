"""`--repair` on a file or a part of it: looked at once ahead, then read again with what was found."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import chain, count, takewhile
from typing import TYPE_CHECKING

from vidcm.interpolation.filling import filled, places
from vidcm.interpolation.flashes import LEAD
from vidcm.interpolation.repair import DROPPED, DUPLICATES
from vidcm.interpolation.retime import Retiming
from vidcm.interpolation.survey import MARGIN, Seen, survey
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import whole_pictures
from vidcm.media.reader import VideoFrame, VideoReader, open_reader

if TYPE_CHECKING:
    from vidcm.interpolation.shots import CutDetector


class Mending:
    """reader: of the file, with the clock of all its packets; begin, stop: instants of the first frame of a part and of
    the first one behind it, None: of the file."""

    def __init__(
        self,
        reader: VideoReader,
        repair: frozenset[str],
        interlaced: str,
        begin: Fraction | None,
        stop: Fraction | None,
    ) -> None:
        self._reader, self._repair, self._interlaced = reader, repair, interlaced
        self._begin, self._stop = begin, stop

    @cached_property
    def count(self) -> int:
        """Frames that there should be; 0 where only what is there counts."""
        return sum(1 for _ in places(self._reader, self._repair, self._begin, self._stop))

    def look_ahead(
        self, detector: "CutDetector | None", known: frozenset[int], progress: Callable[[int, int], None]
    ) -> Seen:
        """progress: called with the frames seen so far and those expected."""
        info, begin, stop = self._reader.info, self._begin, self._stop
        margin, expected = MARGIN / info.average_rate, len(self._reader.timeline.instants)
        with open_reader(info.path, rotate=False, threads=self._reader.threads) as reader:
            reader.info = info
            frames: Iterable[VideoFrame] = reader
            if begin is not None:
                begin = max(begin - margin, info.start)
                frames = chain([reader.seek(begin)], reader)
            if stop is not None:
                stop, expected = stop + margin, reader.index_at(stop + margin)
                frames = _before(frames, stop)
            expected -= 0 if begin is None else reader.index_at(begin)
            whole, seen = whole_pictures(frames, info, self._interlaced, []), count(1)
            found = survey(
                filled(whole, places(reader, self._repair, begin, stop), self._repair),
                1 / info.average_rate,
                detector,
                known,
                find_repeats=DUPLICATES in self._repair,
                progress=lambda: progress(next(seen), expected),
            )
        progress(expected, expected)
        return found

    def opened(self, retiming: Retiming) -> tuple[VideoFrame | None, Iterator[VideoFrame], int]:
        """The frame before, and all from the LEAD-th on before the one that the first of the part shows again, if it
        does; and how many come before those."""
        instants = self._reader.timeline.instants
        index = 0 if self._begin is None else self._reader.index_at(self._begin)
        for distinct in range(LEAD + 1):
            index -= min(index, 1) if distinct else 0
            while index and retiming.gives_way(instants[index]):
                index -= 1
        if not index:
            return None, iter(self._reader) if self._begin is None else self._from(instants[0]), 0
        lead_in = self._reader.seek(instants[index - 1])
        sound = lead_in.instant < instants[index] and not retiming.gives_way(lead_in.instant)
        number = sum(1 for _ in places(self._reader, self._repair, stop=instants[index])) or index
        return lead_in if sound else None, self._from(instants[index]), number

    def filled(self, frames: Iterable[VideoFrame], instants: list[Fraction]) -> Iterator[VideoFrame]:
        """The frames, with what stands in for damaged and missing ones; `instants` is told of those of the part."""

        def note(instant: Fraction) -> None:
            if (self._begin is None or instant >= self._begin) and (self._stop is None or instant < self._stop):
                instants.append(instant)

        return filled(frames, places(self._reader, self._repair), self._repair, note)

    def evenly_timed(self, info: VideoInfo) -> VideoInfo:
        """With a constant rate, if frames now fill each place of the recognised one."""
        clock = info.clock
        if DROPPED not in self._repair or not clock.slack or clock.loose:
            return info
        instants = self._reader.timeline.instants
        first = instants[0] if self._begin is None else self._begin
        end = self._reader.timeline.end if self._stop is None else self._stop
        if self.count * clock.step < end - first:
            return info
        return replace(info, clock=replace(clock, is_constant=True), average_rate=1 / clock.step)

    def _from(self, instant: Fraction) -> Iterator[VideoFrame]:
        return chain([self._reader.seek(instant)], self._reader)


def _before(frames: Iterable[VideoFrame], stop: Fraction) -> Iterator[VideoFrame]:
    return takewhile(lambda frame: frame.instant < stop, frames)
