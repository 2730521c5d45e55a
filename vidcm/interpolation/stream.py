"""File to file: read, plan, interpolate, write; any length in bounded memory, all or nothing."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcm.core.errors import UserError
from vidcm.interpolation.check import check_paths
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.estimate import Forecast
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import PlannedFrame, Rule
from vidcm.interpolation.preview import SideBySide, doubled, stretch_of
from vidcm.interpolation.repair import NOTHING
from vidcm.interpolation.span import Span, part_of
from vidcm.interpolation.whole import check_gaps, check_whole
from vidcm.media.choice import choose
from vidcm.media.encoders import check_steady
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import REFUSE, check_interlaced, whole_pictures
from vidcm.media.lock import claimed
from vidcm.media.pace import STRETCH, Pace
from vidcm.media.reader import VideoFrame, VideoReader, open_reader
from vidcm.media.sequence import as_path
from vidcm.media.timeline import common_time_base
from vidcm.media.window import Window
from vidcm.media.writer import VideoWriter

if TYPE_CHECKING:
    from vidcm.interpolation.mending import Mending
    from vidcm.interpolation.render import AtCuts, CutDetector, Interpolator, Renderer, Shown, Tally
    from vidcm.interpolation.survey import Seen

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """What became of a file. Times in seconds; indices count source frames."""

    source: str
    target: str
    width: int  # as coded
    height: int
    source_rate: str | None  # "24000/1001"; None: variable
    rate: str | None
    start_s: float  # of the part that was taken, from the first frame on
    duration_s: float  # of the output
    times_slower: str  # "5/2"; "1": as fast as the source
    frames_in: int
    frames_out: int
    frames_made: int  # frames_out less the source frames shown
    repeats: int  # source frames that showed the one before again, and gave way to in-betweens
    filled: list[float]  # where damaged or missing ones did so, or the nearest is held; seconds from the first frame on
    cuts: list[int]  # the frames that start a new shot
    codec: str
    pix_fmt: str
    dropped: list[str]  # what the target does not get, of streams, words and pictures, with the reason
    problems: list[str]  # damage that was read around
    wall_s: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def interpolate_file(
    source: str | Path,
    target: str | Path,
    *,
    rule: Rule,
    interpolator: "Interpolator",
    detector: "CutDetector | None" = None,
    cuts: Cuts | None = None,
    at_cuts: "AtCuts" = "continue",
    codec: str | None = None,
    quality: str | None = None,
    span: Span | None = None,
    preview: Fraction | None = None,
    sound: str = STRETCH,
    interlaced: str = REFUSE,
    allow_truncated: bool = False,
    repair: frozenset[str] = NOTHING,
    doubt: Doubt | None = None,
    ledger: Ledger | None = None,
    progress: Progress = lambda done, expected: None,
    survey_progress: Progress = lambda done, expected: None,
    forecast: Forecast | None = None,
) -> Report:
    """Write `source` with the frames that `rule` plans to `target`: sound, colour and duration stay.

    In slow motion the duration is `rule.stretch` times the source's, and `sound` says what becomes of it: see `Pace`.

    detector: finds cuts, across which nothing is blended; cuts: those that are known. at_cuts: an in-between at a
    cut "continue"s the nearer frame (the interpolator gets no other end), or "hold"s it. codec, quality: see
    `VideoWriter`. span: the part to take, sound and all; None takes the whole. preview: so many
    seconds of it, beside the source frames held. interlaced: "refuse" such pictures,
    "deinterlace" or "ignore" it. allow_truncated: take what is there of a file that is cut short. repair: which of
    `repair.REPAIRS`; the file is then looked at once ahead, and survey_progress called with the frames seen so far and
    those expected. doubt: what is shown instead of in-betweens that score low, for an interpolator that scores;
    ledger: is told of every output frame. progress: called with the output frames written so far and those expected;
    forecast: with what it needs to tell how long it will take. Raises UserError if it cannot, and leaves nothing
    behind, nor when interrupted.
    """
    source, target, started = as_path(source), Path(target), time.monotonic()
    check_paths(source, target)
    with open_reader(source, rotate=False) as reader:
        check_interlaced(reader.info, interlaced)
        shape = reader.info if preview is None else doubled(reader.info)
        choose(target, shape, codec, quality)  # refuses what the writer would, before the long read
        work = _work(reader, rule, span, preview, allow_truncated)
        check_steady(target, rule.output_rate(work.info.rate))
        known = cuts.indices(reader) if cuts else frozenset()
        from vidcm.interpolation.mending import Mending
        from vidcm.interpolation.render import Renderer, Tally  # needs torch, which takes longer than refusing a file

        renderer, tally = Renderer(rule, interpolator, detector, at_cuts, known, work.stop, doubt), Tally()
        if repair:
            mending = Mending(reader, repair, interlaced, work.begin, work.stop)
            seen = mending.look_ahead(detector, known, survey_progress)
            renderer = replace(renderer, detector=None, cuts=seen.cuts, retiming=seen.retiming, start=work.begin)
            work = _mended(work, mending, seen)
        if ledger is not None:
            tally.note = partial(ledger.note, info=work.info, stretch=rule.stretch)
        expected = rule.count(work.count, work.info.average_rate)
        pace = Pace(rule.stretch, sound)
        frames = whole_pictures(work.frames, work.info, interlaced, reader.problems)
        if repair:
            frames = mending.filled(frames, tally.filled)
        rendered = _rendered(renderer, frames, tally, work, is_preview=preview is not None)
        info = work.info if preview is None else doubled(work.info)
        with claimed(target), _writer(target, replace(work, info=info), rule, codec, quality, pace) as writer:
            for shown, instant, duration in _timed(rendered, tally):
                writer.write(shown, instant, duration)
                progress(tally.frames_out, max(expected, tally.frames_out))
                if forecast is not None:
                    forecast(tally.frames_out, tally.frames_made, max(expected, tally.frames_out), writer.sizes)
            if tally.frames_in < min(2, work.count):
                raise UserError(f"{source}: only one of its frames can be decoded; there is nothing to interpolate")
        return _report(source, writer, info, rule, tally, reader.problems, time.monotonic() - started)


@dataclass(frozen=True)
class Work:
    """What of a file is to be done. stop: the instant of the first frame behind it, None at the end of the file;
    lead_in: the frame before it, if any: the first pair of a part sees what it sees in the whole."""

    info: VideoInfo
    frames: Iterable[VideoFrame]
    count: int
    lead_in: VideoFrame | None = None
    stop: Fraction | None = None
    window: Window | None = None
    begin: Fraction | None = None  # the instant of its first frame, None at the beginning of the file


def _mended(work: Work, mending: "Mending", seen: "Seen") -> Work:
    """The same with what `--repair` changes in it."""
    lead_in, frames = mending.opened(seen.retiming)
    info = mending.evenly_timed(work.info)
    return replace(work, info=info, frames=frames, lead_in=lead_in, count=max(work.count, mending.count))


def _rendered(
    renderer: "Renderer", frames: Iterable[VideoFrame], tally: "Tally", work: Work, *, is_preview: bool
) -> "Iterator[tuple[PlannedFrame, Shown]]":
    beside = SideBySide(work.info) if is_preview else None
    for planned, shown, *_ in renderer(beside.watch(frames) if beside else frames, tally, work.lead_in):
        yield planned, beside.put(planned, shown) if beside else shown


def _work(reader: VideoReader, rule: Rule, span: Span | None, preview: Fraction | None, allow_truncated: bool) -> Work:
    """Raises UserError for a file that is not whole, and a span that is not in it."""
    found = check_whole(reader.info, allow_truncated=allow_truncated)
    reader.info = found.info
    reader.problems += [found.short] if found.short else []
    if preview is not None:
        span = stretch_of(reader, span, preview)
    if span is None:
        check_gaps(found, rule, found.info.start, None)
        return Work(found.info, reader, found.frames)
    part = part_of(span, reader)
    check_gaps(found, rule, part.start, part.stop)
    window = Window(None if part.stop is None else part.stop - part.start)
    index = reader.index_at(part.start)
    lead_in = reader.seek(reader.timeline.instants[index - 1]) if index else None
    first = reader.seek(part.start)
    if lead_in is not None and lead_in.instant >= first.instant:  # the frame before it is damaged
        lead_in = None
    frames = chain([first], reader)
    return Work(found.info.part(part.start), frames, part.frames, lead_in, part.stop, window, part.start)


def _report(
    source: Path, writer: VideoWriter, info: VideoInfo, rule: Rule, tally: "Tally", problems: list[str], wall_s: float
) -> Report:
    return Report(
        source=str(source),
        target=str(writer.path),
        width=info.width,
        height=info.height,
        source_rate=_text(info.rate),
        rate=_text(rule.output_rate(info.rate)),
        start_s=float(info.skipped),
        duration_s=float((tally.end - info.start) * rule.stretch),
        times_slower=str(rule.stretch),
        frames_in=tally.frames_in,
        frames_out=tally.frames_out,
        frames_made=tally.frames_made,
        repeats=tally.repeats,
        filled=[round(float(instant - info.start + info.skipped), 6) for instant in tally.filled],
        cuts=tally.cuts,
        codec=writer.choice.codec,
        pix_fmt=writer.choice.pix_fmt,
        dropped=writer.dropped,
        problems=problems,
        wall_s=round(wall_s, 3),
    )


def _writer(target: Path, work: Work, rule: Rule, codec: str | None, quality: str | None, pace: Pace) -> VideoWriter:
    """With a time base that holds every planned instant, and the end."""
    info = work.info
    steps = (span for step in info.clock.steps for span in rule.steps(step))
    return VideoWriter(
        target,
        info,
        time_base=common_time_base((info.start - info.origin) * pace.times, *steps),
        rate=rule.output_rate(info.average_rate),
        codec=codec,
        quality=quality,
        copy_from=info.path,
        window=work.window,
        pace=pace,
    )


def _timed(
    rendered: "Iterable[tuple[PlannedFrame, Shown]]", tally: "Tally"
) -> "Iterator[tuple[Shown, Fraction, Fraction | None]]":
    """(picture, instant, duration); only the last one's duration is known, and needed: up to the end of the source."""
    waiting: tuple[Shown, Fraction] | None = None
    for planned, shown in rendered:
        if waiting is not None:
            yield *waiting, None
        waiting = shown, planned.instant
    if waiting is not None:
        yield *waiting, tally.end - waiting[1]


def _text(rate: Fraction | None) -> str | None:
    return None if rate is None else str(rate)
