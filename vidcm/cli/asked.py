"""What the options of `vidcm interpolate` ask for, judged without torch. What they refuse is wrong use."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from vidcm.cli.options import judged
from vidcm.core.errors import UserError
from vidcm.core.memory import parse_memory
from vidcm.core.processes import launched
from vidcm.interpolation.check import check_report
from vidcm.interpolation.cuts import Cuts, read_cuts
from vidcm.interpolation.doubt import FALLBACKS, Doubt
from vidcm.interpolation.plan import Rule, parse_factor, parse_rate
from vidcm.interpolation.repair import NOTHING, parse_repair
from vidcm.interpolation.slow_motion import parse_slow_motion
from vidcm.interpolation.span import parse_preview, parse_range
from vidcm.interpolation.tree import check_folders
from vidcm.media.pace import STRETCH
from vidcm.media.pipes import PIPED_IN, is_pipe
from vidcm.media.sequence import PICTURES, find_sequence, is_sequence, row_of


def rule_of(factor: str | None, fps: str | None, slower: str | None, sound: str | None) -> Rule:
    """Which frames there will be. sound: what slow motion does to it."""
    rule = judged(_rule, factor, fps, slower)
    if sound is not None and slower is None:
        raise click.UsageError(f"--sound {sound} says what slow motion does to it: give --slow-motion too")
    return rule


def _rule(factor: str | None, fps: str | None, slower: str | None) -> Rule:
    if factor is not None and slower is not None:
        raise click.UsageError(
            f"--factor {factor} and --slow-motion {slower} both say how many frames: give one of them, or --fps with "
            "--slow-motion"
        )
    if slower is not None:
        return parse_slow_motion(slower, None if fps is None else parse_rate(fps).rate)
    if factor is not None and fps is not None:
        raise click.UsageError(f"--factor {factor} and --fps {fps} both say how many frames: give one of them")
    if factor is not None:
        return parse_factor(factor)
    if fps is not None:
        return parse_rate(fps)
    raise click.UsageError("say how many frames: --factor (such as 2), --fps (such as 60) or --slow-motion (such as 4)")


def source_of(source: Path, input_fps: str | None) -> Path:
    """What IN means, with the rate of numbered pictures."""
    if input_fps is not None and source.is_file() and source.suffix.lower() in PICTURES:
        raise UserError(f"{source} is one picture: give the pattern of a row, '{row_of(source)}', or its folder")
    if input_fps is not None and not is_sequence(source):
        raise UserError(f"--input-fps {input_fps} is for numbered pictures, which {source} is not: leave it out")
    if input_fps is not None:
        return find_sequence(source, parse_rate(input_fps, "--input-fps").rate)
    if not source.is_dir() and is_sequence(source):
        raise UserError(f"{source} holds no times: say how many pictures a second there are with --input-fps")
    return source


def request(
    *,
    span: str | None,
    preview: str | None,
    cuts: str,
    repair: str | None,
    overlays: str,
    sound: str | None,
    min_confidence: float | None,
    fallback: str | None,
    memory: str | None,
    **as_given: Any,
) -> dict[str, Any]:
    """Options -> arguments of `stream.interpolate_file`, and `find_cuts`. as_given: those passed on as they are."""
    return {
        "span": None if span is None else judged(parse_range, span),
        "preview": None if preview is None else judged(parse_preview, preview),
        "find_cuts": cuts == "auto",
        "cuts": _known_cuts(cuts),
        "repair": NOTHING if repair is None else judged(parse_repair, repair),
        "overlays": overlays == "auto",
        "sound": sound or STRETCH,
        "doubt": judged(_doubt, min_confidence, fallback),
        "memory": None if memory is None else judged(parse_memory, memory),
        **as_given,
    }


def _known_cuts(cuts: str) -> Cuts | None:
    if cuts in ("auto", "off"):
        return None
    if not Path(cuts).is_file():
        raise click.UsageError(f"--cuts {cuts}: give auto, off or a file that is there")
    return read_cuts(Path(cuts))


def _doubt(min_confidence: float | None, fallback: str | None) -> Doubt | None:
    if min_confidence is None and fallback is not None:
        raise click.UsageError(f"--fallback {fallback} says what is shown below --min-confidence: give that too")
    return None if min_confidence is None else Doubt(min_confidence, fallback or FALLBACKS[0])


def check_folder(source: Path, target: Path, reports: tuple[Path, ...], resume: bool, given: Mapping[str, Any]) -> None:
    """What says something of one video has no place where there are many."""
    check_folders(source, target)
    if reports:
        raise click.UsageError(f"--report {reports[0]} is for one video: OUT/summary.json tells of each in a folder")
    if given["preview"] is not None:
        raise click.UsageError("--preview is for one video: name one of the folder")
    if resume:
        raise click.UsageError("--resume is for one video: a folder goes on by itself where it was interrupted")
    if given["cuts"] not in ("auto", "off"):
        raise click.UsageError(f"--cuts {given['cuts']} is for one video: give auto or off, or name one of the folder")


def check_reports(reports: tuple[Path, ...], source: Path, target: Path) -> None:
    for report in reports:
        check_report(report, source, target)
    if len({report.absolute() for report in reports}) < len(reports):
        raise click.UsageError("two reports have the same name: give each its own")


def check_pipes(source: Path, target: Path, as_json: bool, again: bool) -> None:
    """again: what is there of OUT is gone on with, or made again in part."""
    if is_pipe(source) and is_no_pipe(sys.stdin):
        raise UserError(f"IN is -, and nothing is piped in: {PIPED_IN}")
    if is_pipe(target) and is_no_pipe(sys.stdout):
        raise UserError("OUT is -, which is a terminal or closed: pipe it into what reads YUV4MPEG2, or name a file")
    if is_pipe(target) and as_json:
        raise UserError("--json writes where the pictures go, to standard output: leave it out, or name a file with -o")
    if (is_pipe(source) or is_pipe(target)) and launched().count > 1:
        raise UserError("what is piped goes through one process: start the command once, without torchrun")
    if (is_pipe(source) or is_pipe(target)) and again:
        raise UserError("what is piped cannot be resumed: leave --resume and --reroll out, or name files")


def is_no_pipe(stream: TextIO | None) -> bool:
    """Of a standard stream: None is one that was closed."""
    return stream is None or stream.isatty()
