"""One gap of a finished output made again, with another seed: what lies between two source frames.

The rest stays. Pictures of other gaps that share a group of pictures with it are decoded from the output and encoded
again with it; all other packets, sound and all, are copied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av.packet import Packet

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation.batch import record_of
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.differing import Difference, difference, overall
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.job import tick_of
from vidcm.interpolation.plan import Rule
from vidcm.interpolation.whole import check_whole
from vidcm.media.alpha import alpha_of
from vidcm.media.hardware import SOFTWARE
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import REFUSE, check_interlaced, whole_pictures
from vidcm.media.lock import claimed
from vidcm.media.names import has_alpha
from vidcm.media.place import discard, publish
from vidcm.media.reader import VideoReader, open_reader
from vidcm.media.splice import (
    Coded,
    as_encoded,
    check_alike,
    coded,
    packets_of,
    pictures_of,
    stamps_of,
    stretch_of,
)
from vidcm.media.writer import VideoWriter
from vidcm.work.batch import recorded

if TYPE_CHECKING:
    from vidcm.interpolation.makers import Interpolator
    from vidcm.interpolation.render import AtCuts
    from vidcm.interpolation.rendered import Rendered, Shown
    from vidcm.interpolation.shots import CutDetector

# Source frames: the cut detector remembers so many; behind a gap are looked at two that a flash may light, three behind
# them that tell a shadow, and one further by bwdif.
BEFORE, BEHIND = 10, 8


@dataclass(frozen=True)
class Rerolled:
    """Times in seconds on the output's clock. frames_made: new pictures, which differ so much from those before them;
    frames_encoded: with those encoded again."""

    target: str
    frames_made: int
    differs: Difference
    start_s: float
    end_s: float
    frames_encoded: int
    encoded_from_s: float
    encoded_to_s: float


def reroll(
    source: Path,
    target: Path,
    at: Fraction,
    *,
    rule: Rule,
    interpolator: "Interpolator",
    detector: "CutDetector | None" = None,
    cuts: Cuts | None = None,
    at_cuts: "AtCuts" = "continue",
    codec: str | None = None,
    quality: str | None = None,
    encoder: str = SOFTWARE,
    doubt: Doubt | None = None,
    interlaced: str = REFUSE,
    overlays: bool = False,
) -> Rerolled:
    """Make what `target`, made of `source` by this rule, shows at `at` again: the whole gap between two source frames.

    at: seconds on the output's clock. Raises UserError if it cannot; the output is then as it was."""
    with claimed(target), open_reader(source, rotate=False) as reader:
        check_interlaced(reader.info, interlaced)
        reader.info = check_whole(reader.info).info
        gap = _gap_at(reader, at, rule)
        shows = {"with_alpha": has_alpha_in(target), "overlays": overlays}
        made = _made(reader, gap, rule, interpolator, detector, cuts, at_cuts, doubt, interlaced, **shows)
        if not made:
            raise UserError(
                f"{target}: nothing is made between the source frames around {float(at):.3f} s: give a time between "
                "two other ones"
            )
        tick, rate = tick_of(reader.info, rule), rule.output_rate(reader.info.average_rate)
        stretch, origin = rule.stretch, reader.info.origin
        shown = {(each.planned.instant - origin) * stretch: each.shown for each in made}
        return _spliced(target, shown, tick, rate, codec, quality, encoder)


def _gap_at(reader: VideoReader, at: Fraction, rule: Rule) -> int:
    """The index of its first frame."""
    instant = at / rule.stretch + reader.info.origin
    if not reader.info.start <= instant < reader.timeline.end:
        ends_s = float((reader.timeline.end - reader.info.origin) * rule.stretch)
        raise WrongUse(f"--reroll {float(at):g} is not in the output, which ends at {ends_s:.3f} s: give a time in it")
    return reader.index_at(instant)


def has_alpha_in(path: Path) -> bool:
    with open_reader(path, rotate=False) as reader:
        return has_alpha(reader.info.pix_fmt)


def _made(
    reader: VideoReader,
    gap: int,
    rule: Rule,
    interpolator: "Interpolator",
    detector: "CutDetector | None",
    cuts: Cuts | None,
    at_cuts: "AtCuts",
    doubt: Doubt | None,
    interlaced: str,
    *,
    with_alpha: bool,
    overlays: bool,
) -> "list[Rendered]":
    from vidcm.interpolation.overlays import AHEAD, Overlays, frames_before
    from vidcm.interpolation.render import Renderer
    from vidcm.interpolation.rendered import Tally
    from vidcm.interpolation.works import Planner

    known = cuts.indices(reader) if cuts else frozenset()
    first = max(0, gap - BEFORE)
    begun = chain([reader.seek(reader.timeline.instants[first])], reader)
    frames = whole_pictures(islice(begun, gap - first + BEHIND + AHEAD), reader.info, interlaced, [])
    place: dict[str, Any] = {"origin": reader.info.start, "number": first}
    if overlays:
        place["overlays"] = Overlays()
        frames = place["overlays"].watch(frames, past=partial(frames_before, reader.info, interlaced, reader.threads))
    planner = Planner(rule, detector, known, with_alpha=with_alpha, **place)
    renderer = Renderer(interpolator, at_cuts, doubt)
    begin, end = reader.timeline.instants[gap], (reader.timeline.instants[gap + 1 :] or [None])[0]
    made: list[Rendered] = []
    for work in planner.works(frames, Tally()):
        at = work.planned[0].instant
        if end is None or at >= end:
            return made
        if at >= begin:  # a flash is one of them, and what is behind it the other
            made += [each for each in renderer.render(work) if each.kind not in ("source", "flash", "cut")]
    return made


def _spliced(
    target: Path,
    shown: "dict[Fraction, Shown]",
    tick: Fraction,
    rate: Fraction | None,
    codec: str | None,
    quality: str | None,
    encoder: str,
) -> Rerolled:
    """shown: what the output shows from when on, seconds; the rest: of its encoder."""
    with open_reader(target, rotate=False) as reader:
        info = reader.info
    file, rate = coded(info), rate or info.average_rate
    ticks = {packet.pts: round(info.clock.exact(packet.pts * info.time_base) / tick) for packet in file}
    new = {round(instant / tick): picture for instant, picture in shown.items()}
    wanted = {pts for pts, at in ticks.items() if at in new}
    if len(wanted) < len(new):
        raise UserError(
            f"{target}: has no pictures where this command would make them: give the IN, and the --factor, --fps or "
            "--slow-motion it was made with"
        )
    places, aside = stretch_of(file, wanted), target.with_name(f".{target.stem}.reroll{target.suffix}")
    shown_at = [packet.pts for packet in file[places.start : places.stop]]
    end = min((packet.pts for packet in file[places.stop :]), default=max(shown_at) + file[-1].duration)
    try:
        how = {"time_base": tick, "rate": rate, "codec": codec, "quality": quality, "encoder": encoder}
        with VideoWriter(aside, info, copy_from=target, **how) as writer:
            new_packets, differs = _encoded(writer, info, places, ticks, new, shown_at, end)
            coded_anew = [Coded(packet.pts or 0, 0, packet.is_keyframe) for packet in new_packets]
            stamps = stamps_of([*file[: places.start], *coded_anew, *file[places.stop :]])
            before, behind = (
                as_encoded(packets_of(info, range(*copied)), info)
                for copied in ((0, places.start), (places.stop, len(file)))
            )
            writer.join(stamps, chain(before, new_packets, behind))
        check_alike(aside, target)
        with recorded(record_of(target), target):
            publish(target, aside)
    finally:
        discard(aside)
    return Rerolled(
        target=str(target),
        frames_made=len(new),
        differs=differs,
        start_s=float(min(shown)),
        end_s=float(max(shown)),
        frames_encoded=len(new_packets),
        encoded_from_s=float(min(shown_at) * info.time_base),
        encoded_to_s=float(end * info.time_base),
    )


def _encoded(
    writer: VideoWriter,
    info: VideoInfo,
    places: range,
    ticks: Mapping[int, int],
    new: "Mapping[int, Shown]",
    in_place: list[int],
    end: int,
) -> tuple[list[Packet], Difference]:
    """The pictures at `places` of a file encoded again, those at `new` replaced, and how much those differ.

    ticks: pts in the file -> in ticks of the encoder; new: by the latter; in_place: pts at those places; end: of what
    comes behind them. The packets are on the clock of the file, rounded as it is."""
    in_file, pictures, packets = {at: pts for pts, at in ticks.items()}, writer.encoding.pictures(), []
    shown_at = sorted(in_place)
    following, rgb = dict(zip(shown_at, [*shown_at[1:], end], strict=True)), writer.encoding.converter.to_rgb
    differences: list[Difference] = []
    for native in pictures_of(info, places):
        pts = native.pts or 0
        at, next_at = ticks[pts], round(info.clock.exact(following[pts] * info.time_base) / writer.time_base)
        picture = writer.encoding.picture(new[at]) if at in new else native
        if at in new:
            both = native, picture
            covers = [alpha_of(each) for each in both if has_alpha(each.format.name)]
            differences.append(difference(*map(rgb, both), covers))
        packets += pictures.encode(picture, at, max(1, next_at - at))
    packets += pictures.finish()
    for packet in packets:
        pts = in_file[packet.pts or 0]
        packet.pts, packet.duration, packet.time_base = pts, following[pts] - pts, info.time_base
    return packets, overall(differences)
