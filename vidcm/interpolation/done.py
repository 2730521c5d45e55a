"""What became of a file: told in one line, and by the reports."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcm.interpolation.assembly import Assembly
from vidcm.interpolation.plan import Rule
from vidcm.media.info import VideoInfo
from vidcm.media.writer import VideoWriter

if TYPE_CHECKING:
    from vidcm.interpolation.rendered import Tally


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
    frames_replaced: int  # those in whose place `doubt` has something else shown
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


def report_of(
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
        frames_replaced=assembly.frames_replaced,
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


def _text(rate: Fraction | None) -> str | None:
    return None if rate is None else str(rate)
