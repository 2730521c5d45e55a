"""What of a file is to be done: all of it, or a part with what lies around it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING

from vidcm.interpolation.flashes import LEAD
from vidcm.interpolation.plan import Rule
from vidcm.interpolation.preview import stretch_of
from vidcm.interpolation.span import Span, part_of
from vidcm.interpolation.whole import check_gaps, check_whole
from vidcm.media.info import VideoInfo
from vidcm.media.pipes import is_pipe
from vidcm.media.reader import VideoFrame, VideoReader
from vidcm.media.timeline import common_time_base
from vidcm.media.window import Window

if TYPE_CHECKING:
    from vidcm.interpolation.mending import Mending
    from vidcm.interpolation.survey import Seen

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What of a file is to be done. frames: of a part with the few before it, so that its first pair is made as in the
    whole; stop: the instant of the first frame behind it, None at the end of the file; lead_in: the frame before
    `frames`, if any."""

    info: VideoInfo
    frames: Iterable[VideoFrame]
    count: int
    lead_in: VideoFrame | None = None
    stop: Fraction | None = None
    window: Window | None = None
    begin: Fraction | None = None  # the instant of the first frame to show, None at the beginning of the file
    number: int = 0  # how many frames of the file come before `frames`
    end: Fraction | None = None  # of the last output frame, None at the end of the file

    def mended(self, mending: "Mending", seen: "Seen") -> "Job":
        """The same with what `--repair` changes in it."""
        lead_in, frames, number = mending.opened(seen.retiming)
        info, count = mending.evenly_timed(self.info), max(self.count, mending.count)
        return replace(self, info=info, frames=frames, lead_in=lead_in, number=number, count=count)


def job_of(reader: VideoReader, rule: Rule, span: Span | None, preview: Fraction | None, allow_truncated: bool) -> Job:
    """Raises UserError for a file that is not whole, and a span that is not in it."""
    if is_pipe(reader.info.path):
        return Job(reader.info, reader, 2)
    found = check_whole(reader.info, allow_truncated=allow_truncated)
    reader.info = found.info
    reader.problems += [found.short] if found.short else []
    if preview is not None:
        span = stretch_of(reader, span, preview)
    if span is None:
        check_gaps(found, rule, found.info.start, None)
        return Job(found.info, reader, found.frames)
    part = part_of(span, reader, rule)
    check_gaps(found, rule, part.start, part.stop)
    window = Window(None if part.stop is None else part.end - part.shown)
    lead_in, leading = _led_up_to(reader, part.start)
    frames, number = chain((leading.pop(0) for _ in leading[:]), reader), part.number + 1 - len(leading)
    info, end = found.info.part(part.shown), None if part.stop is None else part.end
    return Job(info, frames, part.frames, lead_in, part.stop, window, part.start, number, end)


def _led_up_to(reader: VideoReader, start: Fraction) -> tuple[VideoFrame | None, list[VideoFrame]]:
    """The frame before those that follow, if any; and the one at `start`, behind a few before it where none of them is
    damaged."""
    index = reader.index_at(start)
    begin = max(0, index - LEAD)
    places = reader.timeline.instants[begin : index + 1]
    lead_in = _before(reader, begin)
    leading = [reader.seek(places[0]), *islice(reader, len(places) - 1)]
    if [frame.instant for frame in leading] != places:
        lead_in, leading = _before(reader, index), [reader.seek(start)]
    if lead_in is not None and lead_in.instant >= leading[0].instant:  # it is damaged
        lead_in = None
    return lead_in, leading


def _before(reader: VideoReader, index: int) -> VideoFrame | None:
    return reader.seek(reader.timeline.instants[index - 1]) if index else None


def tick_of(info: VideoInfo, rule: Rule) -> Fraction:
    """A time base of the output that holds every planned instant, and the end; info: of the source."""
    steps = (span for step in info.clock.steps for span in rule.steps(step))
    return common_time_base((info.start - info.origin) * rule.stretch, *steps)
