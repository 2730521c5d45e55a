"""Repeated source frames give way to in-betweens of the distinct ones: the gaps between those run across them.

The output instants stay those of the plan, which counts every source frame; only what they show is looked up anew. So
the output keeps its length and its rate, and sound stays in step.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from vidcm.interpolation.plan import Gap, PlannedFrame

if TYPE_CHECKING:
    from vidcm.interpolation.works import Step

NEAR = Fraction(1, 16)  # of a gap: so near to a source frame whose instant was worked out, it is shown itself


@dataclass(frozen=True)
class Retiming:
    """What is known of the source frames of a file, by their instants.

    repeats: those that show the one before again; lost: those that do so because they are damaged or missing; moments:
    when what a frame shows took place, seconds, not after it was first shown; frames without one show what was when
    they begin.
    """

    repeats: frozenset[Fraction] = frozenset()
    lost: frozenset[Fraction] = frozenset()
    moments: Mapping[Fraction, Fraction] = field(default_factory=dict)

    def gives_way(self, instant: Fraction) -> bool:
        """Whether the frame there is replaced, if it can be."""
        return instant in self.repeats or instant in self.lost

    def __call__(self, steps: "Iterable[Step]") -> "Iterator[Step]":
        """Steps from each source frame to the next -> steps between distinct ones, with the same output instants."""
        run: list[Step] = []
        carried: list[Fraction] = []  # output instants of earlier steps that show what comes after those
        for step in steps:
            run.append(step)
            if step.last is None or step.is_cut:
                yield from self._as_they_are(run, carried)
                run, carried = [], []
            elif not self.gives_way(step.last.instant):
                merged, carried = self._merged(run, carried)
                yield merged
                run = []

    def _as_they_are(self, run: "list[Step]", carried: list[Fraction]) -> "Iterator[Step]":
        """Nothing moves on behind them: repeats are shown as such."""
        held = tuple(PlannedFrame(instant, run[0].gap.index, Fraction(0)) for instant in carried)
        yield run[0]._replace(planned=held + run[0].planned)
        yield from run[1:]

    def _merged(self, run: "list[Step]", carried: list[Fraction]) -> "tuple[Step, list[Fraction]]":
        first, last = run[0], run[-1]
        assert last.last is not None
        ends = first.gap.start, last.gap.end
        start, end = (self.moments.get(instant, instant) for instant in ends)
        if len(run) == 1 and not carried and (start, end) == ends:
            return first, []
        gap = replace(first.gap, start=start, end=end)
        instants = carried + [planned.instant for step in run for planned in step.planned]
        near = NEAR * (end - start) if (start, end) != ends else Fraction(0)
        later = [instant for instant in instants if instant >= end - near]
        planned = tuple(_shown_at(gap, instant, near, len(run)) for instant in instants[: len(instants) - len(later)])
        slots = tuple(step.gap for step in run)
        return first._replace(gap=gap, last=last.last, planned=planned, slots=slots), later


def _shown_at(gap: Gap, instant: Fraction, near: Fraction, span: int) -> PlannedFrame:
    is_near = instant - gap.start <= near
    tau = Fraction(0) if is_near else (instant - gap.start) / (gap.end - gap.start)
    return PlannedFrame(instant, gap.index, tau, span)


AS_IT_IS = Retiming()
