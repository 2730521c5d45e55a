"""Source frames in, works out: gap by gap what is to be made, and all that it is made from. No interpolator is needed.

Holds four source frames at a time: a pair, and the frames next to it, which tell how its motion is changing; two more
where a flash may be, or four where a shadow may.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import NamedTuple

from vidcm.interpolation.flashes import across_flashes
from vidcm.interpolation.overlays import Overlays
from vidcm.interpolation.pictures import Picture
from vidcm.interpolation.plan import Gap, PlannedFrame, Rule, gaps
from vidcm.interpolation.rendered import Tally
from vidcm.interpolation.retime import AS_IT_IS, Retiming
from vidcm.interpolation.shots import CutDetector, Shots
from vidcm.media.reader import VideoFrame


class Step(NamedTuple):
    """A gap, its ends (the last one None behind the last frame), and whether a cut lies between them.

    planned: output frames, with instants in it; slots: the gaps between source frames for which they were planned,
    more than one where some of those are left out; lit: steps from frames that a flash lights, which are left out but
    shown at their own instants.
    """

    gap: Gap
    first: Picture
    last: Picture | None
    is_cut: bool
    planned: tuple[PlannedFrame, ...]
    slots: tuple[Gap, ...]
    lit: "tuple[Step, ...]" = ()

    def wanted(self, is_wanted: Callable[[Fraction], bool]) -> "Step":
        """With those of its output frames alone whose instants are."""
        planned = tuple(each for each in self.planned if is_wanted(each.instant))
        return self._replace(planned=planned, lit=tuple(each.wanted(is_wanted) for each in self.lit))


class Work(NamedTuple):
    """A gap with output frames in it, and all that they are made from.

    before: the frame before the gap, if of its shot; following: the gap behind it; shot: which one the gap begins in;
    is_flash: whether it shows a frame that a flash lights, and nothing else.
    """

    step: Step
    before: Picture | None
    following: Step | None
    shot: int
    planned: tuple[PlannedFrame, ...]
    is_flash: bool = False


@dataclass(frozen=True)
class Planner:
    """See the module. detector: None finds no cut. cuts: source frames that are known to start a shot. overlays: has
    watched the frames."""

    rule: Rule
    detector: CutDetector | None = None
    cuts: frozenset[int] = frozenset()
    stop: Fraction | None = None  # the source frame at this instant, seconds, is led up to, and not shown
    start: Fraction | None = None  # what is before it only leads up to it
    retiming: Retiming = AS_IT_IS
    origin: Fraction | None = None  # instant of the first frame of the file, and
    number: int = 0  # how many of its frames come before those that are given
    with_alpha: bool = False  # whether the output keeps it
    overlays: Overlays | None = None
    is_lean: bool = False  # whether no more is held of each source frame than of a large one

    def works(self, frames: Iterable[VideoFrame], tally: Tally, lead_in: VideoFrame | None = None) -> Iterator[Work]:
        """What is to be done, in order. lead_in: what came before the first of `frames`.

        Tells `tally` of the source frames. All that depends on what came before is decided here, so that any of the
        works may be left out afterwards, and the others stay as they are."""
        before, pictures = self._opened(frames, lead_in)
        del lead_in
        for step, following in with_next(across_flashes(self.retiming(self._steps(pictures)))):
            slots = [slot for slot in step.slots if self._is_wanted(slot.start)]
            step = step.wanted(self._is_wanted)
            if self.stop is not None and step.slots[0].start >= self.stop and not step.planned:
                return
            tally.frames_in += len(slots)
            replaced = (slot.start for slot in step.slots[1:] if self._is_wanted(slot.start))
            tally.repeats += sum(instant in self.retiming.repeats for instant in replaced)
            tally.end = max([tally.end, *(slot.end for slot in slots)])
            tally.flashes += [lit.first.frame.index for lit in step.lit if self._is_wanted(lit.slots[0].start)]
            yield from works_of(step, before, following, len(tally.cuts))
            if step.is_cut and step.last is not None and not self._leads_in(step.last):
                tally.cuts.append(step.last.frame.index)
            before = None if step.is_cut else step.first
            step.first.instant = step.gap.start  # what it shows may have been earlier than when it was shown

    def _is_wanted(self, instant: Fraction) -> bool:
        return (self.start is None or instant >= self.start) and (self.stop is None or instant < self.stop)

    def _leads_in(self, picture: Picture) -> bool:
        """Whether it is not behind the first frame that is shown."""
        return self.start is not None and picture.instant <= self.start

    def _opened(
        self, frames: Iterable[VideoFrame], lead_in: VideoFrame | None
    ) -> tuple[Picture | None, Iterator[Picture]]:
        """What came before the first frame, if it is of its shot, and all frames."""
        pictures = map(self._picture, frames)
        opening = list(islice(pictures, 1))
        before = None if lead_in is None or not opening else self._picture(lead_in)
        if before is not None and self._shots.is_break(before, opening[0]):
            before = None
        return before, chain((opening.pop() for _ in opening[:]), pictures)  # a list would keep the first frame

    def _picture(self, frame: VideoFrame) -> Picture:
        known = self.overlays
        since, until = (None, None) if known is None else (known.since(frame), known.until(frame))
        return Picture(frame, self.with_alpha, since, until, self.is_lean)

    def _steps(self, pictures: Iterable[Picture]) -> Iterator[Step]:
        for gap, first, last in gaps(self._in_shots(pictures), self.origin, self.number):
            is_cut = last is not None and last.starts_shot
            yield Step(gap, first, last, is_cut, tuple(self.rule.frames(gap)), (gap,))

    def _in_shots(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        for told in self._shots.told(pictures):
            told.frame.starts_shot = told.is_cut
            yield told.frame

    @property
    def _shots(self) -> Shots:
        return Shots(self.detector, self.cuts)


def works_of(step: Step, before: Picture | None, following: Step | None, shot: int) -> Iterator[Work]:
    """One work, or more: what flashes light is shown between others."""
    rest = step.planned
    for lit in step.lit:
        earlier = tuple(each for each in rest if each.instant < lit.gap.start)
        rest = rest[len(earlier) :]
        if earlier:
            yield Work(step, before, following, shot, earlier)
        if lit.planned:
            yield Work(lit, None, None, shot, lit.planned, is_flash=True)
    if rest:
        yield Work(step, before, following, shot, rest)


def with_next(steps: Iterable[Step]) -> Iterator[tuple[Step, Step | None]]:
    """Every step and the one after it."""
    ahead = iter(steps)
    step = next(ahead, None)
    while step is not None:
        following = next(ahead, None)
        yield step, following
        step = following
