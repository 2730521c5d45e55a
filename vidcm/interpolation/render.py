"""Source frames in, output frames out, as the plan says: a source frame untouched, or what the interpolator makes.

Holds four source frames and a few in-betweens at a time: a pair, and the frames next to it, which tell how its motion
is changing. No in-between is blended across a cut: there it continues from the nearer end alone, with the other end
absent, or repeats it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, groupby, islice
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from vidcm.core.around import Around
from vidcm.core.judged import judged
from vidcm.interpolation.doubt import CROSSFADE, HOLD, Doubt
from vidcm.interpolation.filling import StandIn
from vidcm.interpolation.footprint import TOGETHER
from vidcm.interpolation.in_place import held_still
from vidcm.interpolation.makers import FrameByFrame, Interpolator, frame_by_frame
from vidcm.interpolation.overlays import Overlays
from vidcm.interpolation.pictures import Picture, to_bytes, to_floats
from vidcm.interpolation.plan import Gap, PlannedFrame, Rule, gaps
from vidcm.interpolation.retime import AS_IT_IS, Retiming
from vidcm.media.reader import VideoFrame
from vidcm.models.acceleration import UNEVEN

HALF = Fraction(1, 2)

AtCuts = Literal["continue", "hold"]
Shown = VideoFrame | np.ndarray
T = TypeVar("T")


class CutDetector(Protocol):
    def is_cut(self, before: np.ndarray, after: np.ndarray, /) -> bool:
        """before, after: consecutive frames, uint8 RGB [H, W, 3]. Whether `after` starts a new shot."""
        ...


class Rendered(NamedTuple):
    """An output frame, where it comes from, and the score its maker gives it, 0..1 (None: no maker, or one without).

    kind: "source"; "made"; "cut", held because a cut is there; "end", held behind the last source frame; "stand-in",
    shown for one that is damaged or missing; "hold" or "crossfade", shown instead of one that scores too low, whose
    score it keeps.
    """

    planned: PlannedFrame
    shown: Shown
    kind: str
    score: float | None = None

    @property
    def is_made(self) -> bool:
        """Whether it is no source frame."""
        return isinstance(self.shown, np.ndarray)


@dataclass
class Tally:
    """What has been done so far. cuts: the source frames that start a new shot; repeats: those that gave way
    to in-betweens; filled: instants of those that were damaged or missing; end: of the last one seen, seconds.

    note: is told of every output frame, in order.
    """

    frames_in: int = 0
    frames_out: int = 0
    frames_made: int = 0  # frames_out less the source frames shown
    cuts: list[int] = field(default_factory=list)
    repeats: int = 0
    filled: list[Fraction] = field(default_factory=list)
    end: Fraction = Fraction(0)
    note: Callable[[Rendered], None] = lambda rendered: None

    def add(self, rendered: Rendered) -> None:
        self.frames_out += 1
        self.frames_made += rendered.is_made
        self.note(rendered)


class Step(NamedTuple):
    """A gap, its ends (the last one None behind the last frame), and whether a cut lies between them.

    planned: output frames, with instants in it; slots: the gaps between source frames for which they were planned,
    more than one where some of those are left out.
    """

    gap: Gap
    first: Picture
    last: Picture | None
    is_cut: bool
    planned: tuple[PlannedFrame, ...]
    slots: tuple[Gap, ...]


class Work(NamedTuple):
    """A gap with output frames in it, and all that they are made from.

    before: the frame before the gap, if of its shot; following: the gap behind it; shot: which one the gap begins in.
    """

    step: Step
    before: Picture | None
    following: Step | None
    shot: int
    planned: tuple[PlannedFrame, ...]


class Beside(NamedTuple):
    """The frames next to a pair, as far as they are of its shot; lead, trail: when, see `Around`."""

    before: Picture | None
    after: Picture | None
    lead: Fraction
    trail: Fraction

    def around(self) -> Around:
        before, after = (None if picture is None else picture.tensor for picture in self[:2])
        return Around(before, after, self.lead, self.trail)


class Source(NamedTuple):
    """What an output frame is made from: which ends of its gap, and whether that end is shown as it is."""

    first: bool
    last: bool
    as_is: bool


@dataclass(frozen=True)
class Renderer:
    """See the module. detector: None finds no cut. cuts: source frames that are known to start a shot. overlays: has
    watched the frames."""

    rule: Rule
    interpolator: Interpolator
    detector: CutDetector | None = None
    at_cuts: AtCuts = "continue"
    cuts: frozenset[int] = frozenset()
    stop: Fraction | None = None  # the source frame at this instant, seconds, is led up to, and not shown
    doubt: Doubt | None = None  # what becomes of in-betweens that score low
    start: Fraction | None = None  # what is before it only leads up to it
    retiming: Retiming = AS_IT_IS
    origin: Fraction | None = None  # instant of the first frame of the file, and
    number: int = 0  # how many of its frames come before those that are given
    with_alpha: bool = False  # whether the output keeps it
    overlays: Overlays | None = None
    is_lean: bool = False  # whether no more is held of each source frame than of a large one

    def __call__(
        self, frames: Iterable[VideoFrame], tally: Tally, lead_in: VideoFrame | None = None
    ) -> Iterator[Rendered]:
        """Output frames in order, one stage of the work after the other. Keeps `tally` up to date."""
        for work in self.works(frames, tally, lead_in):
            for rendered in self.render(work):
                tally.add(rendered)
                yield rendered

    def works(self, frames: Iterable[VideoFrame], tally: Tally, lead_in: VideoFrame | None = None) -> Iterator[Work]:
        """What is to be done, gap by gap, without the interpolator. lead_in: what came before the first of `frames`.

        Tells `tally` of the source frames. All that depends on what came before is decided here, so that any of the
        works may be left out afterwards, and the others stay as they are."""
        before, pictures = self._opened(frames, lead_in)
        del lead_in
        for step, following in with_next(self.retiming(self._steps(pictures))):
            slots = [slot for slot in step.slots if self._is_wanted(slot.start)]
            step = step._replace(planned=tuple(each for each in step.planned if self._is_wanted(each.instant)))
            if self.stop is not None and step.slots[0].start >= self.stop and not step.planned:
                return
            tally.frames_in += len(slots)
            replaced = (slot.start for slot in step.slots[1:] if self._is_wanted(slot.start))
            tally.repeats += sum(instant in self.retiming.repeats for instant in replaced)
            tally.end = max([tally.end, *(slot.end for slot in slots)])
            if step.planned:
                yield Work(step, before, following, len(tally.cuts), step.planned)
            if step.is_cut and step.last is not None:
                tally.cuts.append(step.last.frame.index)
            before = None if step.is_cut else step.first
            step.first.instant = step.gap.start  # what it shows may have been earlier than when it was shown

    def _is_wanted(self, instant: Fraction) -> bool:
        return (self.start is None or instant >= self.start) and (self.stop is None or instant < self.stop)

    def _opened(
        self, frames: Iterable[VideoFrame], lead_in: VideoFrame | None
    ) -> tuple[Picture | None, Iterator[Picture]]:
        """What came before the first frame, if it is of its shot, and all frames."""
        pictures = map(self._picture, frames)
        opening = list(islice(pictures, 1))
        before = None if lead_in is None or not opening else self._picture(lead_in)
        if before is not None and self._is_cut(before, opening[0]):
            before = None
        return before, chain((opening.pop() for _ in opening[:]), pictures)  # a list would keep the first frame

    def _picture(self, frame: VideoFrame) -> Picture:
        overlay = None if self.overlays is None else self.overlays.of(frame)
        return Picture(frame, self.with_alpha, overlay, self.is_lean)

    def _steps(self, pictures: Iterable[Picture]) -> Iterator[Step]:
        for gap, first, last in gaps(pictures, self.origin, self.number):
            is_cut = self._is_cut(first, last)
            first.compared()
            yield Step(gap, first, last, is_cut, tuple(self.rule.frames(gap)), (gap,))

    def _is_cut(self, first: Picture, last: Picture | None) -> bool:
        if last is None or last.frame.index in self.cuts:
            return last is not None
        return self.detector is not None and self.detector.is_cut(first.frame.seen, last.frame.seen)

    def render(self, work: Work) -> Iterator[Rendered]:
        """Its output frames, in order."""
        step = work.step
        for source, group in groupby(work.planned, key=lambda planned: self._source(planned, work)):
            planned = list(group)
            ends = [step.first if source.first else None, step.last if source.last else None]
            if source.as_is:
                (shown,) = (end.frame for end in ends if end is not None)
                yield from (Rendered(each, shown, _held(each, step.gap, shown)) for each in planned)
            else:
                key = {"shot": work.shot if source.first else work.shot + 1, "position": step.first.frame.index}
                before, following = work.before if source.first else None, work.following if source.last else None
                yield from self._made(ends, planned, _beside(before, step, following), **key)

    def _source(self, planned: PlannedFrame, work: Work) -> Source:
        if planned.tau == 0:
            return Source(first=True, last=False, as_is=True)
        if not work.step.is_cut:
            return Source(first=True, last=True, as_is=False)
        is_near_first = planned.tau <= HALF
        beside = _beside(work.before, work.step, work.following)
        step = beside.lead if is_near_first else beside.trail
        moves = (beside.before if is_near_first else beside.after) is not None and 1 / UNEVEN <= step <= UNEVEN
        return Source(first=is_near_first, last=not is_near_first, as_is=self.at_cuts == "hold" or not moves)

    def _made(
        self, ends: Sequence[Picture | None], planned: Sequence[PlannedFrame], beside: Beside, **where: Any
    ) -> Iterator[Rendered]:
        to_samples = to_floats if any(end is not None and end.is_deep for end in ends) else to_bytes
        for start in range(0, len(planned), TOGETHER):
            together = iter(planned[start : start + TOGETHER])
            taus = [float(frame.tau) for frame in planned[start : start + TOGETHER]]
            for made, scores in self._answers(ends, taus, beside, **where):
                told = [None] * made.shape[1] if scores is None else scores.tolist()
                some = list(islice(together, len(told)))
                sure = self.doubt.meets(told) if self.doubt and None not in ends else [True] * len(told)
                shown = to_samples(self._in_place(made, some, ends))
                del made  # before others are made
                for frame, picture, score, is_sure in zip(some, shown, told, sure, strict=True):
                    if is_sure:
                        yield Rendered(frame, picture, "made", score)
                    else:
                        yield self._instead(frame, ends, score)

    def _in_place(self, made: Tensor, planned: list[PlannedFrame], ends: Sequence[Picture | None]) -> Tensor:
        """With what stands still in front of the ends as it is in them."""
        overlays = [None if end is None else end.overlay for end in ends]
        if all(overlay is None for overlay in overlays):
            return made
        tensors = tuple(None if end is None else end.tensor for end in ends)
        with torch.inference_mode():
            own = made if frame_by_frame(self.interpolator) else made.clone()  # others may give what they were given
            return held_still(own, [float(frame.tau) for frame in planned], tensors, overlays)

    def _answers(
        self, ends: Sequence[Picture | None], taus: Sequence[float], beside: Beside, **where: Any
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Frames [3, K, H, W] and their scores [K], some at a time, in order."""
        by = frame_by_frame(self.interpolator)
        with torch.inference_mode():
            if by is not None:
                beyond = [_look(picture, by) for picture in beside[:2]]
                for picture, is_over in ((beside.before, True), (beside.after, False)):
                    if picture is not None:
                        picture.let_go(is_over=is_over)
                looks = (*(_look(end, by) for end in ends), *beyond)
            first, last = (end.tensor if end is not None else None for end in ends)
            if by is None:
                made = judged(self.interpolator(first, last, taus, around=beside.around(), **where))
        if by is None:
            yield made
            return
        times = Around(lead=beside.lead, trail=beside.trail)
        yield from _in_inference(by.each(first, last, taus, looks=looks, around=times, **where))

    def _instead(self, planned: PlannedFrame, ends: Sequence[Picture | None], score: float | None) -> Rendered:
        """What is shown for an in-between that is not sure enough; both ends are there."""
        assert self.doubt is not None
        first, last = (end for end in ends if end is not None)
        if self.doubt.fallback == HOLD:
            nearer = last if planned.tau > HALF else first
            return Rendered(planned, nearer.frame, HOLD, score)
        to_samples = to_floats if first.is_deep or last.is_deep else to_bytes
        (faded,) = to_samples(torch.lerp(first.tensor, last.tensor, float(planned.tau))[:, None])
        return Rendered(planned, faded, CROSSFADE, score)


def _held(planned: PlannedFrame, gap: Gap, shown: VideoFrame) -> str:
    """Why a source frame is shown at an output instant."""
    if planned.tau:
        return "cut"
    if isinstance(shown, StandIn):
        return "stand-in"
    return "end" if gap.is_tail and planned.instant > gap.start else "source"


def with_next(steps: Iterable[Step]) -> Iterator[tuple[Step, Step | None]]:
    """Every step and the one after it."""
    ahead = iter(steps)
    step = next(ahead, None)
    while step is not None:
        following = next(ahead, None)
        yield step, following
        step = following


def _beside(before: Picture | None, step: Step, following: Step | None) -> Beside:
    """What is next to the pair: `before`, and the frame behind it if that is of the same shot as its last one."""
    length, lead, after, trail = step.gap.end - step.gap.start, Fraction(1), None, Fraction(1)
    if before is not None:
        lead = (step.gap.start - before.instant) / length
    if following is not None and following.last is not None and not following.is_cut:
        after, trail = following.last, (following.gap.end - step.gap.end) / length
    return Beside(before, after, lead, trail)


def _look(picture: Picture | None, by: FrameByFrame) -> Any:
    return None if picture is None else picture.look(by)


def _in_inference(pieces: Iterator[T]) -> Iterator[T]:
    """In inference mode while they are made, and not while they are used."""
    while True:
        with torch.inference_mode():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece
        del piece
