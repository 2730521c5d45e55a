"""What `--repair` must know before the first frame is made: the file is decoded and looked at once ahead.

So every decision sees both sides of what it is about, no more frames are in memory than without it, and a part of a
file, looked at with some frames more on both sides, is told what the whole is told.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from vidcm.interpolation.cadence import moments
from vidcm.interpolation.filling import StandIn
from vidcm.interpolation.looked import Looked
from vidcm.interpolation.retime import Retiming
from vidcm.interpolation.shots import Shots, Told
from vidcm.media.reader import VideoFrame
from vidcm.media.repeats import RepeatFinder

if TYPE_CHECKING:
    from vidcm.interpolation.shots import CutDetector

MARGIN = 128  # frames beside a part that are looked at too: no decision reaches further


@dataclass(frozen=True)
class Seen:
    """cuts: indices of the source frames that start a shot; retiming: what repeated ones give way to."""

    cuts: frozenset[int]
    retiming: Retiming


@dataclass
class Shot:
    """The frames of one, as far as they are needed to tell when its pictures were taken."""

    finder: RepeatFinder = field(default_factory=RepeatFinder)
    instants: list[Fraction] = field(default_factory=list)

    def add(self, frame: VideoFrame) -> None:
        self.instants.append(frame.instant)
        self.finder.add(frame.seen)

    def retiming(self, frame: Fraction) -> tuple[set[Fraction], dict[Fraction, Fraction]]:
        """Instants of the repeats, and moments: see `Retiming`. frame: seconds that one lasts."""
        repeats = set(self.finder.finish())
        if not repeats:
            return set(), {}
        distinct = [index for index in range(len(self.instants)) if index not in repeats]
        motion = [self.finder.motion[index] for index in distinct[1:]]
        found = moments([self.instants[index] for index in distinct], motion, frame)
        return {self.instants[index] for index in repeats}, found


def survey(
    frames: Iterable[VideoFrame],
    frame_s: Fraction,
    detector: "CutDetector | None",
    known: frozenset[int] = frozenset(),
    *,
    find_repeats: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> Seen:
    """frames: of a file, or of a part and its margin, see `filled`; frame_s: seconds that one usually lasts.

    known: cuts; progress: called after each frame.
    """
    cuts, repeats, lost, taken = set(known), set[Fraction](), set[Fraction](), dict[Fraction, Fraction]()
    sound = _sound(frames, lost, progress)
    for shot in _shots(Shots(detector, known).told(map(Looked, sound)), cuts):
        if find_repeats:
            told = shot.retiming(frame_s)
            repeats |= told[0]
            taken |= told[1]
    return Seen(frozenset(cuts), Retiming(frozenset(repeats), frozenset(lost), taken))


def _sound(frames: Iterable[VideoFrame], lost: set[Fraction], progress: Callable[[], None]) -> Iterator[VideoFrame]:
    """Without those that stand in for others, which `lost` is told of."""
    for frame in frames:
        if isinstance(frame, StandIn):
            lost.add(frame.instant)
        else:
            yield frame
        progress()


def _shots(told: Iterable[Told[Looked]], cuts: set[int]) -> Iterator[Shot]:
    """Each one when it has ended; a flash that looks like one is one here. cuts: is told of those that are some."""
    shot = Shot()
    for looked, is_break, is_cut in told:
        if is_cut:
            cuts.add(looked.frame.index)
        if is_break:
            yield shot
            shot = Shot()
        shot.add(looked.frame)
    yield shot
