"""Markers as a CMX 3600 EDL with one event for each doubtful passage.

Each event carries its marker twice: as DaVinci Resolve reads it (File > Import > Timeline Markers from EDL) and as an
Avid locator. Timecodes begin at 01:00:00:00, where both begin a timeline, and count non-drop, like the output's frames.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.passages import passages, rate_of
from vidcm.media.timecode import Timecode

BEGIN = Timecode(1, 0, 0, 0)
EVENTS = 9999  # an EDL counts them in four digits at most


def edl(report: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    """Lines of the EDL. report: of the whole file."""
    rate = rate_of(report)
    yield f"TITLE: {Path(report['target']).stem[:60]}\nFCM: NON-DROP FRAME\n"
    for number, passage in enumerate(passages(ledger), 1):
        if number > EVENTS:
            return
        start = round(passage.start * rate)
        length = round(passage.last * rate) + 1 - start
        times = [timecode(frame, rate) for frame in (start, start + length)] * 2
        yield f"\n{number:03}  001      V     C        {' '.join(times)}\n"
        yield f" |C:ResolveColorRed |M:{passage} |D:{length}\n"
        yield f"* LOC: {times[0]} RED     {passage}\n"


def timecode(frame: int, rate: Fraction) -> str:
    """Of a frame of a timeline that starts at BEGIN."""
    return str(Timecode.at(BEGIN.count(rate) + frame, rate))
