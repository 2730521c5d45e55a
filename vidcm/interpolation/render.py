"""Works in, output frames out: a source frame untouched, or what the interpolator makes.

No in-between is blended across a cut: there it continues from the nearer end alone, with the other end absent, or
repeats it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, islice
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidcm.interpolation.answers import Beside, answers
from vidcm.interpolation.doubt import CROSSFADE, HOLD, Doubt
from vidcm.interpolation.filling import StandIn
from vidcm.interpolation.footprint import TOGETHER
from vidcm.interpolation.in_place import held_still
from vidcm.interpolation.makers import Interpolator, frame_by_frame
from vidcm.interpolation.pictures import Picture, to_bytes, to_floats
from vidcm.interpolation.plan import PlannedFrame
from vidcm.interpolation.rendered import Rendered
from vidcm.interpolation.unseen import keep_unseen
from vidcm.interpolation.works import Step, Work
from vidcm.media.reader import VideoFrame
from vidcm.models.acceleration import UNEVEN

HALF = Fraction(1, 2)

AtCuts = Literal["continue", "hold"]


class Source(NamedTuple):
    """What an output frame is made from: which ends of its gap, and whether that end is shown as it is."""

    first: bool
    last: bool
    as_is: bool


@dataclass(frozen=True)
class Renderer:
    """See the module."""

    interpolator: Interpolator
    at_cuts: AtCuts = "continue"
    doubt: Doubt | None = None  # what becomes of in-betweens that score low

    def render(self, work: Work) -> Iterator[Rendered]:
        """Its output frames, in order."""
        step = work.step
        for source, group in groupby(work.planned, key=lambda planned: self._source(planned, work)):
            planned = list(group)
            ends = [step.first if source.first else None, step.last if source.last else None]
            if source.as_is:
                (shown,) = (end.frame for end in ends if end is not None)
                yield from (Rendered(each, shown, _held(each, work, shown)) for each in planned)
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
        for start in range(0, len(planned), TOGETHER):
            together = iter(planned[start : start + TOGETHER])
            taus = [float(frame.tau) for frame in planned[start : start + TOGETHER]]
            for made, scores in answers(self.interpolator, ends, taus, beside, **where):
                told = [None] * made.shape[1] if scores is None else scores.tolist()
                some = list(islice(together, len(told)))
                sure = self.doubt.meets(told) if self.doubt else [True] * len(told)
                shown = _samples(self._in_place(made, some, ends), [float(frame.tau) for frame in some], ends)
                del made  # before others are made
                for frame, picture, score, is_sure in zip(some, shown, told, sure, strict=True):
                    if is_sure:
                        yield Rendered(frame, picture, "made", score)
                    else:
                        yield self._instead(frame, ends, score)

    def _in_place(self, made: Tensor, planned: list[PlannedFrame], ends: Sequence[Picture | None]) -> Tensor:
        """With what stands still in front of the ends as it is in them."""
        first, last = ends
        overlays = None if first is None else first.until, None if last is None else last.since
        if overlays[0] is None and overlays[1] is None:
            return made
        tensors = None if first is None else first.tensor, None if last is None else last.tensor
        with torch.inference_mode():
            own = made if frame_by_frame(self.interpolator) else made.clone()  # others may give what they were given
            return held_still(own, [float(frame.tau) for frame in planned], tensors, overlays)

    def _instead(self, planned: PlannedFrame, ends: Sequence[Picture | None], score: float | None) -> Rendered:
        """What is shown for an in-between that is not sure enough. At a cut one end is there, that of its own shot."""
        assert self.doubt is not None
        there = [end for end in ends if end is not None]
        if self.doubt.fallback == HOLD or len(there) == 1:
            nearer = there[-1] if planned.tau > HALF else there[0]
            return Rendered(planned, nearer.frame, HOLD, score)
        (first, last), tau = there, float(planned.tau)
        (faded,) = _samples(torch.lerp(first.tensor, last.tensor, tau)[:, None], [tau], ends)
        return Rendered(planned, faded, CROSSFADE, score)


def _held(planned: PlannedFrame, work: Work, shown: VideoFrame) -> str:
    """Why a source frame is shown at an output instant."""
    if planned.tau:
        return "cut"
    if isinstance(shown, StandIn):
        return "stand-in"
    if work.is_flash:
        return "flash"
    gap = work.step.gap
    return "end" if gap.is_tail and planned.instant > gap.start else "source"


def _beside(before: Picture | None, step: Step, following: Step | None) -> Beside:
    """What is next to the pair: `before`, and the frame behind it if that is of the same shot as its last one."""
    length, lead, after, trail = step.gap.end - step.gap.start, Fraction(1), None, Fraction(1)
    if before is not None:
        lead = (step.gap.start - before.instant) / length
    if following is not None and following.last is not None and not following.is_cut:
        after, trail = following.last, (following.gap.end - step.gap.end) / length
    return Beside(before, after, lead, trail)


def _samples(made: Tensor, taus: Sequence[float], ends: Sequence[Picture | None]) -> np.ndarray:
    """Made frames [C, K, H, W] at taus between the ends as samples [K, H, W, C], as deep as those."""
    shown = (to_floats if any(end is not None and end.is_deep for end in ends) else to_bytes)(made)
    if shown.shape[-1] == 4:
        keep_unseen(shown, taus, ends)
    return shown
