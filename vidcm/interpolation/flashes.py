"""In-betweens beside a flash are made across it: from the frames before and behind it, which are lit alike.

The frames that it lights are shown as they are, each at its own instant. Output instants stay those of the plan.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from vidcm.interpolation.plan import PlannedFrame
from vidcm.media.flash import MOST, Levels, flash_length

if TYPE_CHECKING:
    from vidcm.interpolation.works import Step

# Source frames before one that tell whether a flash ends with it: those lit, the one before, and as many before that.
LEAD = MOST + 1 + MOST


def across_flashes(steps: "Iterable[Step]") -> "Iterator[Step]":
    """Steps from each frame to the next -> the same, those to and from flashes joined. Looks ahead, by MOST steps, only
    where light jumps, and by as many more where it falls and comes back.

    What is told of a frame rests on LEAD frames before it and as many from it on, never on what was told of others."""
    coming, run = iter(steps), deque["Step"]()
    earlier: list[Levels] = []
    while _has(run, coming, 1):
        joined = [run.popleft() for _ in range(_length(earlier, run, coming))]
        earlier = [] if joined[-1].is_cut else [*earlier, *(step.first.levels for step in joined)][-MOST:]
        yield joined[0] if len(joined) == 1 else _joined(joined)


def _length(earlier: list[Levels], run: "deque[Step]", coming: "Iterator[Step]") -> int:
    """How many of the steps that wait are one: 1 where the first does not lead to a flash."""

    def levels(place: int) -> Levels | None:
        step = run[place] if _has(run, coming, place + 1) else None
        return None if step is None or step.last is None or step.is_cut else step.last.levels

    return 1 + flash_length(earlier, run[0].first.levels, levels)


def _has(run: "deque[Step]", coming: "Iterator[Step]", count: int) -> bool:
    """Whether there are so many steps; they wait in `run` then."""
    while len(run) < count:
        step = next(coming, None)
        if step is None:
            return False
        run.append(step)
    return True


def _joined(run: "list[Step]") -> "Step":
    first, last = run[0], run[-1]
    gap = replace(first.gap, end=last.gap.end)
    slots = tuple(slot for step in run for slot in step.slots)
    between = [each for step in run for each in step.planned if each.tau]
    planned = [each for each in first.planned if not each.tau]
    for each in between:
        tau = (each.instant - gap.start) / (gap.end - gap.start)
        planned.append(PlannedFrame(each.instant, gap.index, tau, len(slots)))
    lit = tuple(step._replace(planned=tuple(each for each in step.planned if not each.tau)) for step in run[1:])
    return first._replace(gap=gap, last=last.last, planned=tuple(planned), slots=slots, lit=lit)
