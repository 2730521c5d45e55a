"""Doubtful passages: runs of made frames that score low, which markers for editing programs point at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidcm.interpolation.ledger import SHOWN, Entry, Ledger


@dataclass
class Passage:
    """Low-scoring frames one after the other. start, last: of the first and the last, seconds from the output's first
    frame; score: the lowest; indices: of the first and the last; sources: the source frames they lie between.
    """

    start: Fraction
    last: Fraction
    frames: int
    score: float
    indices: tuple[int, int]
    sources: tuple[int, int]

    @classmethod
    def of(cls, entry: Entry, instant: Fraction, score: float) -> "Passage":
        return cls(instant, instant, 1, score, (entry.index, entry.index), (entry.first, entry.last))

    def goes_on(self, entry: Entry, instant: Fraction, score: float) -> None:
        self.last, self.frames, self.score = instant, self.frames + 1, min(self.score, score)
        self.indices, self.sources = (self.indices[0], entry.index), (self.sources[0], entry.last)

    def __str__(self) -> str:
        return f"confidence {self.score:.2f}, {self.frames} frame{'s' * (self.frames > 1)}"


def passages(ledger: Ledger) -> Iterator[Passage]:
    """Source frames between them do not end one."""
    passage: Passage | None = None
    zero: Fraction | None = None
    for entry in ledger.entries():
        zero = entry.instant if zero is None else zero
        if entry.kind in SHOWN:
            continue
        if entry.score is not None and entry.score < ledger.doubtful:
            found = entry, entry.instant - zero, entry.score
            if passage is None:
                passage = Passage.of(*found)
            else:
                passage.goes_on(*found)
        elif passage is not None:
            yield passage
            passage = None
    if passage is not None:
        yield passage


def rate_of(report: Mapping[str, Any]) -> Fraction:
    """Output frames per second, on average where they vary."""
    if report["rate"]:
        return Fraction(report["rate"])
    return Fraction(report["frames_out"]) / Fraction(report["duration_s"])
