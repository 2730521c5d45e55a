"""`--range A-B`: a part of a file, from the frame shown at A up to the one shown at B, which is not part of it.

So ranges that meet share no frame and miss none, and the in-betweens before B lead up to the frame at B. A part has the
output frames that the whole would have there, and begins with the first of them.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation.plan import plan

if TYPE_CHECKING:
    from vidcm.interpolation.plan import Rule
    from vidcm.media.reader import VideoReader

EXAMPLE = "such as 12.5-20, 0:01:30-0:02:00.250 or 90- (to the end)"
TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9}(?:\.\d{1,9})?)")


@dataclass(frozen=True)
class Span:
    """Seconds from the first frame on. end: None is the end of the file. text: as the user wrote it."""

    start: Fraction
    end: Fraction | None
    text: str


class Place(NamedTuple):
    """When a source frame is shown, seconds."""

    instant: Fraction
    duration: Fraction


@dataclass(frozen=True)
class Part:
    """What a span is of a certain file. Instants on the file's clock.

    start: of the first frame; stop: of the first one behind the part, None if there is none; frames: how many it has;
    number: how many come before it; shown, end: of the first output frame of the part, and of the first one behind it
    or the end of the file.
    """

    start: Fraction
    stop: Fraction | None
    frames: int
    number: int
    shown: Fraction
    end: Fraction


def parse_range(text: str) -> Span:
    """`A-B`, `A-` or `-B`, in seconds or as [HH:]MM:SS, with decimals. Raises UserError for anything else."""
    first, dash, last = text.strip().partition("-")
    if not dash or not (first or last):
        raise UserError(f"--range must be two times, {EXAMPLE}, got {text[:60]!r}")
    start, end = (_seconds(part, text) if part else None for part in (first.strip(), last.strip()))
    if end is not None and end <= (start or 0):
        raise UserError(f"--range {text} ends where it begins or before: give the earlier time first, {EXAMPLE}")
    return Span(start or Fraction(0), end, text)


def parse_preview(text: str) -> Fraction:
    """`5`, `5s` or `1:30` -> seconds. Raises UserError for anything else, and nothing at all."""
    seconds = clock_seconds(text.strip().removesuffix("s"))
    if not seconds:
        raise UserError(f"--preview must be a time above 0, such as 5s or 1:30, got {text[:60]!r}")
    return seconds


def part_of(span: Span, reader: "VideoReader", rule: "Rule") -> Part:
    """Raises WrongUse for a span without a frame, of the source or of the output."""
    timeline, origin = reader.timeline, reader.info.start
    if origin + span.start >= timeline.end:
        raise WrongUse(
            f"--range {span.text} begins after the end of {reader.info.path}, which lasts "
            f"{float(timeline.end - origin):.3f} s: give an earlier time"
        )
    first = reader.index_at(origin + span.start)
    is_open = span.end is None or origin + span.end >= timeline.end
    last = len(timeline.instants) if is_open else reader.index_at(origin + (span.end or 0))
    if first == last:
        raise WrongUse(
            f"--range {span.text} is within one frame of {reader.info.path}: make it longer than "
            f"{float(timeline.duration_of(first)):.3f} s"
        )
    shown = _first_shown(rule, reader, first)
    end = timeline.end if is_open else _first_shown(rule, reader, last)
    if shown == end:
        raise WrongUse(f"--range {span.text} is within one frame of the output: make it longer, or --fps higher")
    stop = None if is_open else timeline.instants[last]
    return Part(timeline.instants[first], stop, last - first, first, shown, end)


def _first_shown(rule: "Rule", reader: "VideoReader", index: int) -> Fraction:
    """Instant of the first output frame from source frame `index` on: all parts have the plan of the whole file."""
    timeline = reader.timeline
    places = (Place(timeline.instants[at], timeline.duration_of(at)) for at in range(index, len(timeline.instants)))
    planned = plan(rule, places, reader.info.start, index)
    return next((frame.instant for frame in planned), timeline.end)


def clock_seconds(time: str) -> Fraction | None:
    """12.5, 1:30 or 0:01:30.250 -> seconds; None for what is no time."""
    found = TIME.fullmatch(time)
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    if minutes is not None and (Fraction(seconds) >= 60 or (hours is not None and int(minutes) >= 60)):
        return None
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(seconds)


def _seconds(time: str, text: str) -> Fraction:
    seconds = clock_seconds(time)
    if seconds is None:
        raise UserError(f"--range must be two times, {EXAMPLE}, got {text[:60]!r}")
    return seconds
