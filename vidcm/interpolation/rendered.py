"""What comes out of rendering: output frames, each with where it is from; and what is counted of the source's."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from vidcm.interpolation.plan import PlannedFrame
from vidcm.media.reader import VideoFrame

Shown = VideoFrame | np.ndarray


class Rendered(NamedTuple):
    """An output frame, where it comes from, and the score its maker gives it, 0..1 (None: no maker, or one without).

    kind: "source"; "flash", one that a flash lights; "made"; "cut", held because a cut is there; "end", held behind the
    last source frame; "stand-in", shown for one that is damaged or missing; "hold" or "crossfade", shown instead of one
    that scores too low, whose score it keeps.
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
    """What has been seen of the source so far. cuts: the frames that start a new shot; repeats: those that gave way to
    in-betweens; flashes: those that a flash lights; filled: instants of those that were damaged or missing; end: of the
    last one seen, seconds."""

    frames_in: int = 0
    cuts: list[int] = field(default_factory=list)
    repeats: int = 0
    flashes: list[int] = field(default_factory=list)
    filled: list[Fraction] = field(default_factory=list)
    end: Fraction = Fraction(0)
