"""Markers as FCPXML 1.9 (Final Cut Pro from 10.5 on, DaVinci Resolve from 17 on): a project that shows the output, with
a marker on it for each doubtful passage.

    resources    format: size and frameDuration      asset: the output's file, its length and sound
    sequence     one asset-clip, from the file's own timecode on; a marker's start is on that clock too

Times are rational seconds. These programs refuse or shift what is between two frames, so all of them are whole numbers
of frameDuration: in an output of one rate every frame's own instant, exactly.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.passages import Passage, passages, rate_of
from vidcm.media.timecode import DROP_FRAME, Timecode

# Programs conform a file of variable rate to one of these.
USUAL = (
    *(Fraction(1000 * nominal, 1001) for nominal in (24, 30, 60, 120)),
    *map(Fraction, (24, 25, 30, 48, 50, 60, 100, 120)),
)
# Primaries, transfer and matrix as in H.273 -> the name Apple gives them. Others are taken for Rec. 709 by them.
COLOURS = {
    (1, 1, 1): "1-1-1 (Rec. 709)",
    (5, 1, 6): "5-1-6 (Rec. 601 (PAL))",
    (6, 1, 6): "6-1-6 (Rec. 601 (NTSC))",
    (9, 1, 9): "9-1-9 (Rec. 2020)",
    (9, 16, 9): "9-16-9 (Rec. 2020 PQ)",
    (9, 18, 9): "9-18-9 (Rec. 2020 HLG)",
}
NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # that XML 1.0 could hold
SLACK = Fraction(1, 1000)  # frames; a report's duration is a float


@dataclass(frozen=True)
class Output:
    """What the programs are told of the file. width, height: as seen; sound: channels and rate of the first stream;
    tracks: of sound; timecode: of its first frame, where it has one."""

    path: Path
    width: int
    height: int
    sample_aspect: Fraction
    colour: str | None
    sound: tuple[int, int] | None
    tracks: int
    timecode: Timecode | None

    @classmethod
    def of(cls, path: Path) -> "Output":
        from vidcm.media.carry import timecode_of
        from vidcm.media.info import open_container
        from vidcm.media.reader import open_reader

        with open_reader(path, rotate=False) as reader:
            info = reader.info.upright()
        with open_container(path) as container:
            sounds = [(each.codec_context.channels, each.codec_context.sample_rate) for each in container.streams.audio]
            told = timecode_of([container.metadata, *(stream.metadata for stream in container.streams)])
        tags = info.colour.primaries, info.colour.transfer, info.colour.matrix
        first, timecode = (sounds or [None])[0], Timecode.parse(told or "")
        size = info.width, info.height, info.sample_aspect
        return cls(path.absolute(), *size, COLOURS.get(tags), first, len(sounds), timecode)


def fcpxml(report: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    """Parts of the document. report: of the whole file, which is there."""
    output, rate = Output.of(Path(report["target"])), rate_of(report)
    rate = rate if report["rate"] else min(USUAL, key=lambda usual: abs(math.log(usual / rate)))
    frames = math.ceil(Fraction(report["duration_s"]) * rate - SLACK)
    begin, counting = _clock(output, rate)
    name = output.path.name
    span = {"start": _time(begin, rate), "duration": _time(frames, rate)}
    counted = {"format": "r1", "tcFormat": counting}
    clip = {"ref": "r2", "name": name, "offset": span["start"], **span, **counted}
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.9">\n  <resources>\n'
    yield f"    {_tag('format', _format(output, rate))}/>\n"
    yield f"    {_tag('asset', {'id': 'r2', 'name': name, **span, **_media(output)})}>\n"
    yield f"      {_tag('media-rep', {'kind': 'original-media', 'src': output.path.as_uri()})}/>\n"
    yield f"    </asset>\n  </resources>\n  <library>\n    {_tag('event', {'name': output.path.stem})}>\n"
    yield f"      {_tag('project', {'name': output.path.stem})}>\n"
    yield f"        {_tag('sequence', {**counted, 'tcStart': span['start'], 'duration': span['duration']})}>\n"
    if not report["rate"]:
        yield f"          <note>{escape(_legal(_variable(name, rate)))}</note>\n"
    yield "          <spine>\n"
    yield f"            {_tag('asset-clip', clip)}>\n"
    for passage in passages(ledger):
        yield f"              {_tag('marker', _marker(passage, rate, begin))}/>\n"
    yield "            </asset-clip>\n          </spine>\n        </sequence>\n      </project>\n    </event>\n"
    yield "  </library>\n</fcpxml>\n"


def _clock(output: Output, rate: Fraction) -> tuple[int, str]:
    """The number of the first frame, and how timecodes count: as the file's own does, else along with the clock."""
    can_drop = (rate / DROP_FRAME).denominator == 1
    if output.timecode is None:
        return 0, "DF" if can_drop else "NDF"
    return output.timecode.count(rate), "DF" if can_drop and output.timecode.is_drop else "NDF"


def _format(output: Output, rate: Fraction) -> dict[str, object]:
    told: dict[str, object] = {"id": "r1", "frameDuration": _time(1, rate)}
    told |= {"fieldOrder": "progressive", "width": output.width, "height": output.height}
    if output.sample_aspect != 1:
        told |= {"paspH": output.sample_aspect.numerator, "paspV": output.sample_aspect.denominator}
    return told if output.colour is None else {**told, "colorSpace": output.colour}


def _media(output: Output) -> dict[str, object]:
    told: dict[str, object] = {"hasVideo": 1, "format": "r1"}
    if output.sound is not None:
        channels, rate = output.sound
        told |= {"hasAudio": 1, "audioSources": output.tracks, "audioChannels": channels, "audioRate": rate}
    return told


def _marker(passage: Passage, rate: Fraction, begin: int) -> dict[str, object]:
    first, last = round(passage.start * rate), round(passage.last * rate)
    frames, sources = (f"{one} to {other}" for one, other in (passage.indices, passage.sources))
    when = f"{float(passage.start):.3f} s"
    when += f" to {float(passage.last):.3f} s" if passage.last > passage.start else ""
    frames = f"frame {passage.indices[0]}" if passage.frames == 1 else f"frames {frames}"
    return {
        "start": _time(begin + first, rate),
        "duration": _time(last + 1 - first, rate),
        "value": passage,
        "note": f"{when}, {frames}, made of source frames {sources}",
    }


def _variable(name: str, rate: Fraction) -> str:
    return f"The frames of {name} come at a variable rate: markers are on the nearest of {float(rate):.6g} a second."


def _time(frames: int, rate: Fraction) -> str:
    seconds = frames / rate
    return f"{seconds.numerator}s" if seconds.denominator == 1 else f"{seconds.numerator}/{seconds.denominator}s"


def _legal(text: str) -> str:
    return NO_CHARACTERS.sub("?", text)


def _tag(name: str, attributes: Mapping[str, object]) -> str:
    """Open: `<name a="b"`."""
    return " ".join([f"<{name}", *(f"{key}={quoteattr(_legal(str(value)))}" for key, value in attributes.items())])
