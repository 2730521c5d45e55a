"""One gap of a finished output made again, with another seed: what lies between two source frames.

The rest stays. Pictures of other gaps that share a group of pictures with it are decoded from the output and encoded
again with it; all other packets, sound and all, are copied.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation.cuts import Cuts
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.job import tick_of
from vidcm.interpolation.made_of import check_made_of
from vidcm.interpolation.plan import Rule
from vidcm.interpolation.replacing import Rerolled, replace_pictures
from vidcm.interpolation.whole import check_whole
from vidcm.media.hardware import SOFTWARE
from vidcm.media.info import VideoInfo
from vidcm.media.interlace import REFUSE, check_interlaced, whole_pictures
from vidcm.media.lock import claimed
from vidcm.media.names import has_alpha
from vidcm.media.reader import VideoReader, open_reader

if TYPE_CHECKING:
    from vidcm.interpolation.makers import Interpolator
    from vidcm.interpolation.render import AtCuts
    from vidcm.interpolation.shots import CutDetector
    from vidcm.interpolation.works import Work

# Source frames: the cut detector remembers so many; behind a gap are looked at two that a flash may light, three behind
# them that tell a shadow, and one further by bwdif.
BEFORE, BEHIND = 10, 8


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
        output = _output_of(target, reader, gap, rule, interlaced)
        known = cuts.indices(reader) if cuts else frozenset()
        how = {"with_alpha": has_alpha(output.pix_fmt), "interlaced": interlaced, "overlays": overlays}
        works = _works_in(reader, gap, rule, detector, known, **how)
        from vidcm.interpolation.render import Renderer

        renderer = Renderer(interpolator, at_cuts, doubt)
        made = [each for work in works for each in renderer.render(work) if each.kind not in ("source", "flash", "cut")]
        if not made:
            raise UserError(
                f"{target}: nothing is made between the source frames around {float(at):.3f} s: give a time between "
                "two other ones"
            )
        shown = {(each.planned.instant - reader.info.origin) * rule.stretch: each.shown for each in made}
        clock = {"time_base": tick_of(reader.info, rule), "rate": rule.output_rate(reader.info.average_rate)}
        return replace_pictures(output, shown, **clock, codec=codec, quality=quality, encoder=encoder)


def _gap_at(reader: VideoReader, at: Fraction, rule: Rule) -> int:
    """The index of its first frame."""
    instant = at / rule.stretch + reader.info.origin
    if not reader.info.start <= instant < reader.timeline.end:
        ends_s = float((reader.timeline.end - reader.info.origin) * rule.stretch)
        raise WrongUse(f"--reroll {float(at):g} is not in the output, which ends at {ends_s:.3f} s: give a time in it")
    return reader.index_at(instant)


def _output_of(target: Path, source: VideoReader, gap: int, rule: Rule, interlaced: str) -> VideoInfo:
    with open_reader(target, rotate=False) as output:
        check_made_of(output, source, gap, rule, interlaced)
        return output.info


def _works_in(
    reader: VideoReader,
    gap: int,
    rule: Rule,
    detector: "CutDetector | None",
    known: frozenset[int],
    *,
    with_alpha: bool,
    interlaced: str,
    overlays: bool,
) -> "Iterator[Work]":
    """What is to be made in a gap: where a flash is one of its ends, on both sides of it."""
    from vidcm.interpolation.overlays import AHEAD, Overlays, frames_before
    from vidcm.interpolation.rendered import Tally
    from vidcm.interpolation.works import Planner

    first = max(0, gap - BEFORE)
    begun = chain([reader.seek(reader.timeline.instants[first])], reader)
    frames = whole_pictures(islice(begun, gap - first + BEHIND + AHEAD), reader.info, interlaced, [])
    place: dict[str, Any] = {"origin": reader.info.start, "number": first}
    if overlays:
        place["overlays"] = Overlays()
        frames = place["overlays"].watch(frames, past=partial(frames_before, reader.info, interlaced, reader.threads))
    planner = Planner(rule, detector, known, with_alpha=with_alpha, **place)
    begin, end = reader.timeline.instants[gap], (reader.timeline.instants[gap + 1 :] or [None])[0]
    for work in planner.works(frames, Tally()):
        at = work.planned[0].instant
        if end is None or at >= end:
            return
        if at >= begin:
            yield work
