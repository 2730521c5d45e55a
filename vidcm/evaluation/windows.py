"""From a clip to windows: two kept frames and the true ones between them, that a method has to rebuild.

Frames 0, factor, 2 factor, ... are kept. Windows are taken evenly over the clip; they are read in one pass, and no more
than a window of frames and those up to the kept ones next to it are held while reading. A window across a hard cut is
marked: nobody can rebuild it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vidcm.core.around import Around
from vidcm.core.errors import UserError
from vidcm.data.splits import list_videos
from vidcm.media.reader import VideoReader, open_reader
from vidcm.media.shots import CutDetector

Seen = tuple[np.ndarray, Fraction, int]  # fitted frame, instant, index of its shot


@dataclass(frozen=True)
class Window:
    """frames_THWC: uint8 RGB [K + 2, H, W, 3], both kept ones at the ends; instants in seconds.

    shot: index of the shot the first frame is in; position: index of the first frame in the file of kept frames;
    cut: a hard cut lies inside. before, after: the kept frames next to the window, with their instants; None where
    the clip or the shot ends.
    """

    frames_THWC: np.ndarray
    instants: tuple[Fraction, ...]
    shot: int
    position: int
    cut: bool = False
    before: tuple[np.ndarray, Fraction] | None = None
    after: tuple[np.ndarray, Fraction] | None = None

    @cached_property
    def sequence(self) -> Tensor:
        """All frames, float32 in 0..1, [K + 2, 3, H, W]."""
        return to_images(self.frames_THWC)

    @cached_property
    def around(self) -> Around:
        """The kept frames next to the window, [3, H, W]."""
        start, end = self.instants[0], self.instants[-1]
        before, after = (None if seen is None else to_images(seen[0][None])[0] for seen in (self.before, self.after))
        lead = 1 if self.before is None else (start - self.before[1]) / (end - start)
        trail = 1 if self.after is None else (self.after[1] - end) / (end - start)
        return Around(before, after, lead, trail)

    @property
    def first(self) -> Tensor:
        return self.sequence[0]

    @property
    def last(self) -> Tensor:
        return self.sequence[-1]

    @property
    def truth(self) -> Tensor:
        """The frames to be rebuilt, [K, 3, H, W]."""
        return self.sequence[1:-1]

    @property
    def taus(self) -> tuple[Fraction, ...]:
        """Exact positions of the frames to be rebuilt, by their instants: uneven where the clip is."""
        start, end = self.instants[0], self.instants[-1]
        return tuple((instant - start) / (end - start) for instant in self.instants[1:-1])


def to_images(frames_THWC: np.ndarray) -> Tensor:
    """uint8 RGB [T, H, W, 3] -> float32 in 0..1 [T, 3, H, W]."""
    return torch.from_numpy(frames_THWC).permute(0, 3, 1, 2).float() / 255


def find_clips(paths: list[Path], split: str | None = None) -> list[Path]:
    """Video files as given; folders by their manifest.csv or their video files. `split` selects rows of manifests."""
    return [clip for path in paths for clip in (_clips_of(path, split) if path.is_dir() else [path])]


def _clips_of(folder: Path, split: str | None) -> list[Path]:
    entries = list_videos(folder)
    chosen = [folder / entry.file for entry in entries if split is None or entry.split == split]
    if not chosen:
        known = sorted({entry.split for entry in entries if entry.split}) or ["none, it has no split column"]
        raise UserError(f"no clips of split {split!r} in {folder} (splits there: {', '.join(known)})")
    return chosen


def source_size(path: Path) -> tuple[int, int]:
    """Width and height of a clip's pictures, turned as they are shown. Raises UserError for a file that is no video."""
    with open_reader(path) as reader:
        return reader.info.display_size


def grows(source: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a picture of the source's width and height has to be scaled up to cover `size`."""
    return any(wanted > there for wanted, there in zip(size, source, strict=True))


def fit(frame_HWC: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scaled to cover width x height (areas averaged; bilinear where it grows), then cropped around the centre."""
    source_height, source_width = frame_HWC.shape[:2]
    scale = max(width / source_width, height / source_height)
    covered = max(width, round(source_width * scale)), max(height, round(source_height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    frame_HWC = cv2.resize(frame_HWC, covered, interpolation=method)
    left, top = (covered[0] - width) // 2, (covered[1] - height) // 2
    return np.ascontiguousarray(frame_HWC[top : top + height, left : left + width])


def spread(total: int, count: int) -> list[int]:
    """At most `count` of range(total), evenly over it, at the centres of equal parts; 0: all."""
    if not 0 < count < total:
        return list(range(total))
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def read_windows(path: Path, width: int, height: int, factor: int, max_pairs: int = 0) -> Iterator[Window]:
    """The chosen windows of a clip, in order. Raises UserError for a file that is no video or too short."""
    with open_reader(path) as reader:
        total = (len(reader.timeline.instants) - 1) // factor
        if total < 1:
            raise UserError(f"{path}: too short for factor {factor}, it needs at least {factor + 1} frames")
        chosen = deque(spread(total, max_pairs))
        held: deque[tuple[int, Seen]] = deque(maxlen=3 * factor + 1)  # the window, and a kept frame beyond either end
        for index, seen in enumerate(_in_shots(reader, width, height)):
            held.append((index, seen))
            if index == factor * (chosen[0] + 2):
                yield _window(dict(held), chosen.popleft(), factor)
            if not chosen:
                return
        if held and factor * (chosen[0] + 1) <= held[-1][0]:  # the last one, behind which no kept frame is
            yield _window(dict(held), chosen.popleft(), factor)


def _window(held: dict[int, Seen], position: int, factor: int) -> Window:
    first, last = factor * position, factor * (position + 1)
    frames, instants, shots = zip(*(held[index] for index in range(first, last + 1)), strict=True)

    def beyond(index: int, shot: int) -> tuple[np.ndarray, Fraction] | None:
        return held[index][:2] if index in held and held[index][2] == shot else None

    outer = beyond(first - factor, shots[0]), beyond(last + factor, shots[-1])
    return Window(np.stack(frames), instants, shots[0], position, shots[0] != shots[-1], *outer)


def _in_shots(reader: VideoReader, width: int, height: int) -> Iterator[Seen]:
    detector, before, shot = CutDetector(), None, 0
    for frame in reader:
        picture = fit(frame.rgb, width, height)
        shot += before is not None and detector.is_cut(before, picture)
        yield picture, frame.instant, shot
        before = picture
