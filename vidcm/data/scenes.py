"""Scenes of a video, found while its frames stream by: what lies between cuts and moves, without repeated pictures.

Training takes the frames between two ends as what was there at their instants. So a scene must be one shot, and must
be sampled evenly: a picture that a converter or an animator showed twice was not there twice. Where every picture is
held equally long (animation on twos) one of each is kept, at its own instant; where repeats come unevenly (24 fps
shown at 30) the true instants are lost, and so are the frames.
"""

import os
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np

from vidcm.data.arrays import ArrayWriter, Shape, probe
from vidcm.media.change import STILL, change, is_repeat, look
from vidcm.media.shots import CutDetector

STILL_S = Fraction(1)  # nothing moved for so long: a still
LONGEST_HOLD = 3  # frames: animation on threes
GAP = 4  # times the average interval: time is missing there


@dataclass(frozen=True)
class Scene:
    """first: index of its first frame in the file; hold: every so many frames of the file one is kept.

    instants: seconds on the file's own clock, exact, one per kept frame.
    """

    first: int
    hold: int
    instants: tuple[Fraction, ...]
    array: str
    shape: Shape
    probe: int

    @property
    def frames(self) -> int:
        return len(self.instants)


class SceneFinder:
    """Feed it the frames of a file in order, then `finish`; `scenes`, `cuts` and `dropped` tell what was found.

    folder: for the arrays; name: what their names start with; rate: average frames per second of the file.
    """

    def __init__(self, folder: Path, name: str, rate: Fraction, min_frames: int) -> None:
        self.scenes: list[Scene] = []
        self.cuts = 0
        self._folder, self._name, self._min_frames = folder, name, min_frames
        self._longest_gap = GAP / rate
        self._is_cut = CutDetector().is_cut
        self._motion: np.ndarray | None = None  # change to the last picture of the shot that was no repeat
        self._fates: list[str] = []  # of every frame: "" if kept, else why not
        self._last: tuple[Fraction, np.ndarray, np.ndarray] | None = None  # instant, picture, look
        self._anchor: tuple[int, Fraction, np.ndarray] | None = None  # index, instant, look that nothing departed from
        self._begin()

    @property
    def dropped(self) -> list[tuple[int, int, str]]:
        """Stretches (first frame, last frame, why) that are in no scene; repeats within a scene are not among them."""
        stretches, first = [], 0
        for why, frames in groupby(self._fates):
            end = first + len(list(frames))
            if why not in ("", "repeat"):
                stretches.append((first, end - 1, why))
            first = end
        return stretches

    @property
    def fates(self) -> Counter[str]:
        """How many frames were kept (""), and dropped for each reason."""
        return Counter(self._fates)

    def add(self, instant: Fraction, picture: np.ndarray) -> None:
        """picture: uint8 RGB [H, W, 3], as it is to be kept."""
        seen = look(picture)
        if self._last is None or self._breaks(instant, picture):
            self._end("short")
            self._move_on(instant, seen)
            self._motion = None
            self._take(instant, picture)
        elif self._is_still(instant, seen):
            self._fates.append("still")
        elif self._is_repeat(seen):
            self._held += 1
            self._fates.append("repeat")
        else:
            self._keep_rhythm()
            self._take(instant, picture)
        self._last = instant, picture, seen

    def finish(self) -> None:
        self._end("short")

    def discard(self) -> None:
        """Leave nothing of an unfinished scene; harmless after `finish`."""
        if self._writer is not None:
            self._writer.discard()

    def _begin(self) -> None:
        self._writer: ArrayWriter | None = None
        self._indices: list[int] = []
        self._instants: list[Fraction] = []
        self._hold = 0  # frames between two pictures of the scene; 0: not known yet
        self._held = 0  # frames that the last picture has been shown for

    def _breaks(self, instant: Fraction, picture: np.ndarray) -> bool:
        """A cut, or a gap in time."""
        assert self._last is not None
        is_cut = self._is_cut(self._last[1], picture)
        self.cuts += is_cut
        return is_cut or instant - self._last[0] > self._longest_gap

    def _is_still(self, instant: Fraction, seen: np.ndarray) -> bool:
        """Whether nothing has moved for long. When that turns out, the scene ends where it was last moving."""
        assert self._anchor is not None
        index, since, before = self._anchor
        if change(before, seen).max() > STILL:
            self._move_on(instant, seen)
            return False
        if instant - since < STILL_S:
            return False
        if self._indices:
            self._end_at(index)
        return True

    def _move_on(self, instant: Fraction, seen: np.ndarray) -> None:
        self._anchor = len(self._fates), instant, seen

    def _is_repeat(self, seen: np.ndarray) -> bool:
        assert self._last is not None
        now = change(self._last[2], seen)
        if self._indices and is_repeat(now, self._motion):
            return True
        self._motion = now
        return False

    def _keep_rhythm(self) -> None:
        """End the scene where its last picture was held for longer or shorter than those before."""
        if not self._indices:
            return
        if self._held > LONGEST_HOLD or self._hold not in (0, self._held):
            self._end("uneven")
        else:
            self._hold = self._held

    def _take(self, instant: Fraction, picture: np.ndarray) -> None:
        if self._writer is None:
            self._writer = ArrayWriter(self._folder / f"{self._name}.{os.getpid()}.partial")
        self._writer.add(picture)
        self._indices.append(len(self._fates))
        self._instants.append(instant)
        self._fates.append("")
        self._held = 1

    def _end_at(self, index: int) -> None:
        """End the scene with frame `index`: all after it stood still."""
        count = sum(1 for each in self._indices if each <= index)
        start = max(index + 1, self._indices[0])
        self._fates[start:] = ["still"] * (len(self._fates) - start)
        self._indices, self._instants = self._indices[:count], self._instants[:count]
        self._end("short")

    def _end(self, why_not: str) -> None:
        """Keep the scene at hand if it is long enough; `why_not` is what is said of it otherwise."""
        if len(self._indices) >= self._min_frames:
            self.scenes.append(self._finished())
        elif self._indices:
            last = self._indices[-1]
            self._fates[self._indices[0] : last + 1] = [why_not] * (last + 1 - self._indices[0])
        self.discard()
        self._begin()

    def _finished(self) -> Scene:
        assert self._writer is not None
        first, count = self._indices[0], len(self._indices)
        path = self._folder / f"{self._name}-{first}.npy"
        shape = self._writer.finish(path, count)
        return Scene(first, self._hold, tuple(self._instants), path.name, shape, probe(path, shape))
