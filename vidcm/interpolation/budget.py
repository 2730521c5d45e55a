"""`--memory`: how a run is made so that it fits. What is tried in turn takes time alone, and the last one bytes of the
output."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from vidcm.core.errors import WrongUse
from vidcm.core.memory import Memory, as_text
from vidcm.interpolation.footprint import TOGETHER, Run, Way, bytes_of, run_of
from vidcm.interpolation.plan import Gap, Rule
from vidcm.media.choice import Choice
from vidcm.media.hardware import named
from vidcm.media.info import VideoInfo

AS_USUAL = Way()
DECODERS = 1  # threads: one keeps up with the network by far, and each more holds a picture
ENCODERS = 2  # for the same reason; and so that the bytes are the same on any machine


def ways() -> Iterator[Way]:
    """From the one that costs least to the one that takes least."""
    yield (way := Way(encoders=ENCODERS))
    yield (way := replace(way, strip=2**18, is_lean=True))
    yield (way := replace(way, strip=2**16))  # of 4K, in which rows around strips are then half of the work
    yield (way := replace(way, frames_ahead=1))
    yield (way := replace(way, frames_ahead=0, gaps_ahead=0))  # one stage after the other
    yield replace(way, is_brief=True)  # the encoder sees fewer pictures ahead: a larger file


def way_within(
    memory: Memory,
    info: VideoInfo,
    shape: VideoInfo,
    choice: Choice,
    rule: Rule,
    *,
    overlays: bool,
    is_repaired: bool,
    is_part: bool,
) -> Way:
    """How a file is made in so much memory. info: of the source; shape: of the output. Raises WrongUse if it cannot."""
    if named(choice.encoder.name):
        raise WrongUse(
            f"--memory {memory.text} is for encoders in software, what {choice.encoder.name} takes is not known: leave "
            "one of them out"
        )
    together = TOGETHER if is_repaired else together_by(rule, info)
    readers = 2 if is_part or is_repaired else 1
    return fitting(memory, run_of(info, shape, choice, together=together, overlays=overlays, readers=readers))


def together_by(rule: Rule, info: VideoInfo) -> int:
    """In-betweens of a pair whose motion is found at once. Where the rate varies, source frames may lie far apart."""
    apart = (TOGETHER if info.rate is None else 1) / info.average_rate
    planned = rule.frames(Gap(0, Fraction(0), apart, Fraction(0)))
    return min(TOGETHER, max(1, sum(each.tau > 0 for each in planned)))


def fitting(memory: Memory, run: Run) -> Way:
    """The first of the ways that does. Raises WrongUse if none does."""
    for way in ways():
        if (least := bytes_of(run, way)) <= memory.size:
            return way
    raise WrongUse(
        f"--memory {memory.text} is too little for {run.width}x{run.height} in {run.codec}: give at least "
        f"{as_text(least)}"
    )
