"""File to file: read, plan, interpolate, write; any length in bounded memory, all or nothing.

Three stages at once: one thread decodes and finds cuts, one makes the in-betweens, and the caller's encodes.
"""

import time
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidcm.core.ahead import ahead
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.memory import Memory
from vidcm.core.processes import ALONE, Processes
from vidcm.interpolation.assembly import Assembly
from vidcm.interpolation.budget import DECODERS, way_within
from vidcm.interpolation.check import check_paths
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.done import Report, report_of
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.estimate import Forecast
from vidcm.interpolation.job import Progress, job_of
from vidcm.interpolation.journal import ANEW, Settings, Tell, journal_of
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.output import Output
from vidcm.interpolation.piped import Piped, no_journal
from vidcm.interpolation.plan import PlannedFrame, Rule
from vidcm.interpolation.preview import SideBySide, doubled
from vidcm.interpolation.repair import NOTHING
from vidcm.interpolation.segments import Begin, length_for, numbered, rendered
from vidcm.interpolation.span import Span
from vidcm.media.choice import choose
from vidcm.media.encoders import check_steady
from vidcm.media.hardware import SOFTWARE
from vidcm.media.interlace import REFUSE, check_interlaced
from vidcm.media.lock import claimed
from vidcm.media.pace import STRETCH, Pace
from vidcm.media.pipes import CUT_SHORT, is_pipe
from vidcm.media.reader import open_reader
from vidcm.media.sequence import as_path

if TYPE_CHECKING:
    from vidcm.interpolation.makers import Interpolator
    from vidcm.interpolation.render import AtCuts
    from vidcm.interpolation.rendered import Rendered, Shown
    from vidcm.interpolation.shots import CutDetector


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
        raise WrongUse(
            "what is piped in can be read only once: leave --range, --preview, --repair and a file of cuts out"
        )
    with open_reader(source, rotate=False, threads=None if memory is None else DECODERS) as reader:
        check_interlaced(reader.info, interlaced)
        shape = reader.info if preview is None else doubled(reader.info)
        asked = {"codec": codec, "quality": quality, "encoder": encoder, "pace": Pace(rule.stretch, sound)}
        output = Output(target, rule, **asked, choice=choose(target, shape, codec, quality, encoder))
        if memory is not None:
            is_part = span is not None or preview is not None
            more = {"overlays": overlays, "is_repaired": bool(repair), "is_part": is_part}
            output = replace(output, way=way_within(memory, reader.info, shape, output.choice, rule, **more))
        reader.problems += output.remarks(resume)
        job = job_of(reader, rule, span, preview, allow_truncated)
        check_steady(target, rule.output_rate(job.info.rate))
        known = cuts.indices(reader) if cuts else frozenset()
        from vidcm.interpolation.footage import footage_of
        from vidcm.interpolation.makers import in_strips
        from vidcm.interpolation.render import Renderer  # needs torch, which takes longer than refusing a file
        from vidcm.interpolation.works import Planner

        way, with_alpha = output.way, output.choice.has_alpha
        planner = Planner(rule, detector, known, job.stop, job.begin, with_alpha=with_alpha, is_lean=way.is_lean)
        looked = {"interlaced": interlaced, "repair": repair, "overlays": overlays, "progress": survey_progress}
        footage = footage_of(reader, job, planner, **looked)
        job, frames, tally = footage.job, footage.frames, footage.tally
        shown, put = job, _as_it_is
        if preview is not None:
            beside = SideBySide(job.info, with_alpha)
            shown, put, frames = replace(job, info=doubled(job.info)), beside.put, beside.watch(frames)
        works = footage.planner.works(frames, tally, job.lead_in)
        begins = ahead(numbered(works, length_for(shown.info)), way.gaps_ahead)
        renderer, is_piped = Renderer(in_strips(interpolator, way.strip), at_cuts, doubt), is_pipe(target)
        kept = no_journal() if is_piped else journal_of(target, output.told(settings), resume, processes, begun)
        with (
            claimed(target) if processes.is_first and not is_piped else nullcontext(),
            kept as journal,
            output.writer(shown, journal) as writer,
            (Piped if is_piped else Assembly)(writer, journal, job.info, rule.stretch, ledger, put) as assembly,
            closing(ahead(rendered(begins, renderer, journal.is_mine), way.frames_ahead)) as made,
        ):
            expected = rule.count(job.count, job.info.average_rate) // processes.count
            _assemble(made, assembly, expected, progress, survey_progress, None if is_piped else forecast)
            tally.end = tally.end if job.end is None else job.end
            assembly.end(tally.end)
            if is_pipe(source) and not allow_truncated and CUT_SHORT in reader.problems:
                raise UserError(f"{source}: {CUT_SHORT}; look at what wrote it, or take that with --allow-truncated")
            if tally.frames_in < min(2, job.count):
                raise UserError(f"{source}: only one of its frames can be decoded; there is nothing to interpolate")
        in_front, problems = footage.overlays(reader.info.start), reader.problems + writer.remarks
        took_s = time.monotonic() - started
        is_kept = job.info.rate is not None and rule.output_rate(job.info.rate) == job.info.rate
        if is_kept and not (assembly.frames_made or doubt or repair):
            problems.append(f"has {float(job.info.average_rate):.6g} frames a second already, so none was made")
        return report_of(source, writer, shown.info, rule, tally, assembly, in_front, problems, took_s)


def _as_it_is(planned: PlannedFrame, shown: "Shown") -> "Shown":
    return shown


def _assemble(
    made: "Iterable[Begin | Rendered]",
    assembly: Assembly,
    expected: int,
    progress: Progress,
    passing: Progress,
    forecast: Forecast | None,
) -> None:
    """Put together what is made, and tell of it. passing: of what an earlier run left, before anything is new."""
    for each in made:
        if isinstance(each, Begin):
            assembly.begin(each)
            if assembly.has_nothing_new:
                passing(assembly.frames_kept, expected)
            continue
        if assembly.has_nothing_new:
            passing(expected, expected)
        assembly.add(each)
        counts = assembly.frames_out, max(expected, assembly.frames_out)
        progress(*counts)
        if forecast is not None:
            forecast(counts[0], assembly.frames_made, counts[1], assembly.sizes)
