"""File to file: read, plan, interpolate, write; any length in bounded memory, all or nothing.

Three stages at once: one thread decodes and finds cuts, one makes the in-betweens, and the caller's encodes.
"""

import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcm.core.ahead import ahead
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.memory import Memory
from vidcm.core.processes import ALONE, Processes
from vidcm.interpolation.assembly import Assembly
from vidcm.interpolation.budget import AS_USUAL, DECODERS, way_within
from vidcm.interpolation.check import check_paths
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.estimate import Forecast
from vidcm.interpolation.job import Job, Progress, job_of, tick_of
from vidcm.interpolation.journal import ANEW, GO_ON, Journal, Settings, Tell, journal_of
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.piped import Piped, no_journal
from vidcm.interpolation.plan import PlannedFrame, Rule
from vidcm.interpolation.preview import SideBySide, doubled
from vidcm.interpolation.repair import NOTHING
from vidcm.interpolation.segments import Begin, length_for, numbered, rendered
from vidcm.interpolation.span import Span
from vidcm.media.choice import Choice, choose
from vidcm.media.encoders import check_steady
from vidcm.media.hardware import SOFTWARE, named
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import REFUSE, check_interlaced, whole_pictures
from vidcm.media.lock import claimed
from vidcm.media.pace import STRETCH, Pace
from vidcm.media.pipes import CUT_SHORT, is_pipe
from vidcm.media.reader import open_reader
from vidcm.media.sequence import as_path
from vidcm.media.writer import VideoWriter

if TYPE_CHECKING:
    from vidcm.interpolation.makers import Interpolator
    from vidcm.interpolation.render import AtCuts
    from vidcm.interpolation.rendered import Shown, Tally
    from vidcm.interpolation.shots import CutDetector


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
    frames_unsure: int  # those in whose place `doubt` has something else shown
    repeats: int  # source frames that showed the one before again, and gave way to in-betweens
    filled: list[float]  # where damaged or missing ones did so, or the nearest is held; seconds from the first frame on
    frames_kept: int  # of frames_out, those that an interrupted run had made
    cuts: list[int]  # the frames that start a new shot
    flashes: list[int]  # those that a flash lights: shown as they are, and in-betweens made across them
    overlays: list[dict[str, Any]]  # see `overlays.Found`
    codec: str
    pix_fmt: str
    dropped: list[str]  # what the target does not get, of streams, words and pictures, with the reason
    problems: list[str]  # damage that was read around, and what else is worth knowing
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
    encoder: str = SOFTWARE,
    span: Span | None = None,
    preview: Fraction | None = None,
    sound: str = STRETCH,
    interlaced: str = REFUSE,
    allow_truncated: bool = False,
    repair: frozenset[str] = NOTHING,
    doubt: Doubt | None = None,
    overlays: bool = False,
    ledger: Ledger | None = None,
    progress: Progress = lambda done, expected: None,
    survey_progress: Progress = lambda done, expected: None,
    forecast: Forecast | None = None,
    memory: Memory | None = None,
    settings: Settings | None = None,
    resume: str = ANEW,
    begun: Tell = lambda: None,
    processes: Processes = ALONE,
) -> Report:
    """Write `source` with the frames that `rule` plans to `target`: sound, colour and duration stay.

    In slow motion the duration is `rule.stretch` times the source's, and `sound` says what becomes of it: see `Pace`.

    detector: finds cuts, across which nothing is blended; cuts: those that are known. at_cuts: an in-between at a
    cut "continue"s the nearer frame (the interpolator gets no other end), or "hold"s it. codec, quality, encoder: see
    `VideoWriter`. span: the part to take, sound and all; None takes the whole. preview: so many
    seconds of it, beside the source frames held. interlaced: "refuse" such pictures,
    "deinterlace" or "ignore" it. allow_truncated: take what is there of a file that is cut short. repair: which of
    `repair.REPAIRS`; the file is then looked at once ahead, and survey_progress called with the frames seen so far and
    those expected, as it is while a run that goes on passes what is there. doubt: what is shown instead of in-betweens
    that score low, for an interpolator that scores; overlays: find what stands still in front of the pictures, and keep
    it so; ledger: is told of every output frame. progress: called with the
    output frames written so far and those expected; forecast: with what it needs to tell how long it will take.
    memory: what the process may hold, where the network is on the CPU.

    settings: gives, when first needed, what makes the output what it is, the interpolator and its own settings too, by
    the names a user knows; with them, what is whole of an output outlives a failure, and `resume` says what becomes of
    what an earlier run left: see `journal`; begun is called where it left nothing to go on with. processes: share the
    segments; the first one writes the output, and its report is the one that counts.

    Raises UserError if it cannot, and leaves nothing behind without settings, nor when interrupted.
    """
    source, target, started = as_path(source), Path(target), time.monotonic()
    check_paths(source, target, resume != ANEW)
    if is_pipe(source) and (span or preview or repair or cuts):
        raise WrongUse("what is piped in comes but once: leave --range, --preview, --repair and a file of cuts out")
    with open_reader(source, rotate=False, threads=None if memory is None else DECODERS) as reader:
        check_interlaced(reader.info, interlaced)
        shape = reader.info if preview is None else doubled(reader.info)
        choice = choose(target, shape, codec, quality, encoder)  # refuses what the writer would, before the long read
        if resume == GO_ON and named(choice.encoder.name):
            reader.problems.append(f"{choice.encoder.name} is hardware: the same pictures need not be the same bytes")
        if choice.remark:
            reader.problems.append(choice.remark)
        is_part = span is not None or preview is not None
        more = {"overlays": overlays, "is_repaired": bool(repair), "is_part": is_part}
        way = AS_USUAL if memory is None else way_within(memory, reader.info, shape, choice, rule, **more)
        told = way.options(choice.encoder)
        job = job_of(reader, rule, span, preview, allow_truncated)
        check_steady(target, rule.output_rate(job.info.rate))
        known = cuts.indices(reader) if cuts else frozenset()
        from vidcm.interpolation.makers import in_strips
        from vidcm.interpolation.mending import Mending
        from vidcm.interpolation.overlays import Overlays, frames_before, no_past
        from vidcm.interpolation.render import Renderer  # needs torch, which takes longer than refusing a file
        from vidcm.interpolation.rendered import Tally
        from vidcm.interpolation.works import Planner

        renderer, tally = Renderer(in_strips(interpolator, way.strip), at_cuts, doubt), Tally()
        planner = Planner(rule, detector, known, job.stop, job.begin, with_alpha=choice.has_alpha, is_lean=way.is_lean)
        if repair:
            mending = Mending(reader, repair, interlaced, job.begin, job.stop)
            seen = mending.look_ahead(detector, known, survey_progress)
            planner = replace(planner, detector=None, cuts=seen.cuts, retiming=seen.retiming)
            job = job.mended(mending, seen)
        planner = replace(planner, origin=reader.info.start, number=job.number)
        expected = rule.count(job.count, job.info.average_rate) // processes.count
        frames = whole_pictures(job.frames, job.info, interlaced, reader.problems)
        if repair:
            frames = mending.filled(frames, tally.filled)
        still = Overlays(job.begin, job.stop) if overlays else None
        if still is not None:
            past = no_past if job.begin is None else partial(frames_before, reader.info, interlaced, reader.threads)
            frames = still.watch(frames, job.lead_in, past)
            planner = replace(planner, overlays=still)
        beside = None if preview is None else SideBySide(job.info, choice.has_alpha)
        shown = replace(job, info=job.info if beside is None else doubled(job.info))
        works = planner.works(beside.watch(frames) if beside else frames, tally, job.lead_in)
        begins = ahead(numbered(works, length_for(shown.info)), way.gaps_ahead)
        piped, kind = is_pipe(target), Piped if is_pipe(target) else Assembly
        with (
            claimed(target) if processes.is_first and not piped else nullcontext(),
            no_journal()
            if piped
            else journal_of(target, _with(settings, choice, told), resume, processes, begun) as journal,
            _writer(target, shown, rule, (codec, quality, encoder), told, Pace(rule.stretch, sound), journal) as writer,
            kind(writer, journal, job.info, rule.stretch, ledger, beside.put if beside else _as_it_is) as assembly,
            closing(ahead(rendered(begins, renderer, journal.is_mine), way.frames_ahead)) as made,
        ):
            for each in made:
                if isinstance(each, Begin):
                    assembly.begin(each)
                    if assembly.frames_kept and assembly.frames_kept == assembly.frames_out:  # nothing new yet
                        survey_progress(assembly.frames_kept, expected)
                    continue
                if assembly.frames_kept and assembly.frames_kept == assembly.frames_out:
                    survey_progress(expected, expected)
                assembly.add(each)
                counts = assembly.frames_out, max(expected, assembly.frames_out)
                progress(*counts)
                if forecast is not None and not piped:
                    forecast(counts[0], assembly.frames_made, counts[1], assembly.sizes)
            tally.end = tally.end if job.end is None else job.end
            assembly.end(tally.end)
            if is_pipe(source) and not allow_truncated and CUT_SHORT in reader.problems:
                raise UserError(f"{source}: {CUT_SHORT}; look at what wrote it, or take that with --allow-truncated")
            if tally.frames_in < min(2, job.count):
                raise UserError(f"{source}: only one of its frames can be decoded; there is nothing to interpolate")
        in_front = [] if still is None else [each.as_dict() for each in still.found(reader.info.start)]
        problems, took_s = reader.problems + writer.remarks, time.monotonic() - started
        is_kept = job.info.rate is not None and rule.output_rate(job.info.rate) == job.info.rate
        if is_kept and not (assembly.frames_made or doubt or repair):
            problems.append(f"has {float(job.info.average_rate):.6g} frames a second already, so none was made")
        return _report(source, writer, shown.info, rule, tally, assembly, in_front, problems, took_s)


def _with(settings: Settings | None, choice: Choice, told: Mapping[str, str]) -> Settings | None:
    """The settings, and the encoder that was found: pictures of two do not fit together in a file, nor do those of one
    that was told otherwise."""
    if settings is None:
        return None
    options = " ".join(f"{name}={value}" for name, value in told.items()) or "as usual"
    return lambda: {**settings(), "encoder": choice.encoder.name, "its options by --memory": options}


def _as_it_is(planned: "PlannedFrame", shown: "Shown") -> "Shown":
    return shown


def _report(
    source: Path,
    writer: VideoWriter,
    info: VideoInfo,
    rule: Rule,
    tally: "Tally",
    assembly: Assembly,
    overlays: list[dict[str, Any]],
    problems: list[str],
    wall_s: float,
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
        frames_out=assembly.frames_out,
        frames_made=assembly.frames_made,
        frames_unsure=assembly.frames_unsure,
        repeats=tally.repeats,
        filled=[round(float(instant - info.start + info.skipped), 6) for instant in tally.filled],
        frames_kept=assembly.frames_kept,
        cuts=tally.cuts,
        flashes=tally.flashes,
        overlays=overlays,
        codec=writer.choice.codec,
        pix_fmt=writer.choice.pix_fmt,
        dropped=writer.dropped,
        problems=problems,
        wall_s=round(wall_s, 3),
    )


def _writer(
    target: Path,
    job: Job,
    rule: Rule,
    how: tuple[str | None, str | None, str],
    told: Mapping[str, str],
    pace: Pace,
    journal: Journal,
) -> VideoWriter:
    """how: codec, quality, encoder; told: its options."""
    codec, quality, encoder = how
    info = job.info
    return VideoWriter(
        target,
        info,
        time_base=tick_of(info, rule),
        rate=rule.output_rate(info.average_rate),
        codec=codec,
        quality=quality,
        encoder=encoder,
        options=told,
        copy_from=info.path,
        window=job.window,
        pace=pace,
        grow_in=journal.folder,
    )


def _text(rate: Fraction | None) -> str | None:
    return None if rate is None else str(rate)
