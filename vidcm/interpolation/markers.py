"""Markers for an editing program: a CMX 3600 EDL with one event for each run of frames that score low.

Each event carries its marker twice: as DaVinci Resolve reads it (File > Import > Timeline Markers from EDL) and as an
Avid locator. Timecodes begin at 01:00:00:00, where both begin a timeline, and count non-drop, like the output's frames.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcm.interpolation.ledger import SHOWN, Ledger

START_S = 3600
EVENTS = 9999  # an EDL counts them in four digits at most


@dataclass
class Run:
    """Low-scoring frames one after the other. start, last: of the first and the last, seconds from the output's first
    frame; score: the lowest.
    """

    start: Fraction
    last: Fraction
    frames: int
    score: float


def runs(ledger: Ledger) -> Iterator[Run]:
    """Source frames between them do not end a run."""
    run: Run | None = None
    zero: Fraction | None = None
    for entry in ledger.entries():
        zero = entry.instant if zero is None else zero
        instant = entry.instant - zero
        if entry.kind in SHOWN:
            continue
        if entry.score is not None and entry.score < ledger.doubtful:
            run = run or Run(instant, instant, 0, 1.0)
            run.last, run.frames, run.score = instant, run.frames + 1, min(run.score, entry.score)
        elif run is not None:
            yield run
            run = None
    if run is not None:
        yield run


def markers(report: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    """Lines of the EDL. report: of the whole file."""
    rate = (
        Fraction(report["rate"]) if report["rate"] else Fraction(report["frames_out"]) / Fraction(report["duration_s"])
    )
    yield f"TITLE: {Path(report['target']).stem[:60]}\nFCM: NON-DROP FRAME\n"
    for number, run in enumerate(runs(ledger), 1):
        if number > EVENTS:
            return
        start = round(run.start * rate)
        length = round(run.last * rate) + 1 - start
        told = f"confidence {run.score:.2f}, {run.frames} frame{'s' * (run.frames > 1)}"
        times = [timecode(frame, rate) for frame in (start, start + length)] * 2
        yield f"\n{number:03}  001      V     C        {' '.join(times)}\n"
        yield f" |C:ResolveColorRed |M:{told} |D:{length}\n"
        yield f"* LOC: {times[0]} RED     {told}\n"


def timecode(frame: int, rate: Fraction) -> str:
    """HH:MM:SS:FF of a frame, counted from START_S in whole frames of the nominal rate."""
    nominal = max(1, round(rate))
    seconds, left = divmod(frame + START_S * nominal, nominal)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{left:02}"
