"""`--cuts FILE`: hard cuts that somebody knows already. A list of times, a CMX 3600 EDL, or PySceneDetect's CSV.

Each cut is where a new shot starts. What stands at zero starts the first one, and is no cut; dissolves and wipes in an
EDL are none either, since pictures are mixed there anyway.
"""

import csv
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidcm.core.errors import UserError
from vidcm.interpolation.span import clock_seconds
from vidcm.media.timecode import TIMECODE, Timecode

if TYPE_CHECKING:
    from vidcm.media.reader import VideoReader

LARGEST = 2**24  # bytes
KINDS = "a list of times, an EDL, or PySceneDetect's CSV"
EVENT = re.compile(rf"\s*\d+\s+\S+\s+(\S+)\s+([A-Z]\w*)\s+(?:\d+\s+)?{' +'.join([TIMECODE] * 4)}\s*")
SECONDS, CLOCK = "start time (seconds)", "start timecode"  # columns of PySceneDetect


@dataclass(frozen=True)
class Cuts:
    """path: where they stand; times: seconds from the first frame on; events: record times of an EDL instead."""

    path: Path
    times: tuple[Fraction, ...] = ()
    events: tuple[Timecode, ...] = ()

    def indices(self, reader: "VideoReader") -> frozenset[int]:
        """The source frames nearest to them. Raises UserError for a time that is not in the file."""
        timeline, origin = reader.timeline, reader.info.start
        rate = reader.info.average_rate
        zero = self.events[0].count(rate) if self.events else 0
        times = self.times or tuple((event.count(rate) - zero) / rate for event in self.events)
        for time in times:
            if not 0 <= time < timeline.end - origin:
                raise UserError(
                    f"--cuts {self.path}: {float(time):.3f} s is not in {reader.info.path}, which lasts "
                    f"{float(timeline.end - origin):.3f} s: is it the list of another video?"
                )
        return frozenset(reader.nearest(origin + time) for time in times) - {0}


def read_cuts(path: Path) -> Cuts:
    """Raises UserError for a file that is none of the three, naming its first line that is wrong."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"--cuts {path}: has more than {LARGEST // 2**20} MiB: it must be {KINDS}")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"--cuts {path}: cannot be read ({error.strerror}): give auto, off or a file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--cuts {path}: is not text: it must be {KINDS}") from error
    if any(EVENT.match(line) for line in lines):
        return Cuts(path, events=tuple(_events(path, lines)))
    header = next((at for at, line in enumerate(lines) if _columns(line) & {SECONDS, CLOCK}), None)
    times = _listed(path, lines) if header is None else _scenes(path, lines, header)
    return Cuts(path, times=tuple(times))


def _listed(path: Path, lines: list[str]) -> list[Fraction]:
    """One time a line; empty lines and what is behind a # do not count."""
    entries = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [_time(path, number, text) for number, text in entries if text]


def _scenes(path: Path, lines: list[str], header: int) -> list[Fraction]:
    """Start times of PySceneDetect's scenes."""
    rows = csv.DictReader(lines[header:])
    found = []
    for row in rows:
        cells = {(name or "").strip().lower(): text for name, text in row.items()}
        found.append(_time(path, header + rows.line_num, (cells.get(SECONDS) or cells.get(CLOCK) or "").strip()))
    return found


def _events(path: Path, lines: list[str]) -> list[Timecode]:
    """Where the picture events of an EDL that begin with a cut start on the record side; the first of all is zero."""
    found = []
    for line in lines:
        event = EVENT.match(line)
        if event is None or not event[1].upper().startswith(("V", "B")):
            continue
        if not found or event[2] == "C":
            found.append(Timecode.of_parts(*event.groups()[12:17]))
    if not found:
        raise UserError(f"--cuts {path}: this EDL has no events on a video track (such as 001 AX V C ...)")
    return found


def _time(path: Path, number: int, text: str) -> Fraction:
    seconds = clock_seconds(text)
    if seconds is None:
        raise UserError(
            f"--cuts {path}, line {number}: {text[:40]!r} is not a time such as 12.5 or 0:01:30.250 ({KINDS})"
        )
    return seconds


def _columns(line: str) -> set[str]:
    return {cell.strip().lower() for cell in line.split(",")}
