"""From a clip to windows: two kept frames and the true ones between them, that a method has to rebuild.

Frames 0, factor, 2 factor, ... are kept. Windows are taken evenly over the clip; they are read in one pass, and no more
than one window of frames is held while reading. A window across a hard cut is marked: nobody can rebuild it.
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

from vidcm.core.errors import UserError
from vidcm.data.splits import list_videos
from vidcm.media.reader import VideoReader, open_reader
from vidcm.media.shots import CutDetector


@dataclass(frozen=True)
class Window:
    """frames_THWC: uint8 RGB [K + 2, H, W, 3], both kept ones at the ends; instants in seconds.

    shot: index of the shot the first frame is in; position: index of the first frame in the file of kept frames;
    cut: a hard cut lies inside.
    """

    frames_THWC: np.ndarray
    instants: tuple[Fraction, ...]
    shot: int
    position: int
    cut: bool = False

    @cached_property
    def sequence(self) -> Tensor:
        """All frames, float32 in 0..1, [K + 2, 3, H, W]."""
        return torch.from_numpy(self.frames_THWC).permute(0, 3, 1, 2).float() / 255

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
        chosen = {factor * (position + 1): position for position in spread(total, max_pairs)}
        held: deque[tuple[np.ndarray, Fraction, int]] = deque(maxlen=factor + 1)
        for index, seen in enumerate(_in_shots(reader, width, height)):
            held.append(seen)
            if index in chosen:
                frames, instants, shots = zip(*held, strict=True)
                yield Window(np.stack(frames), instants, shots[0], chosen.pop(index), cut=shots[0] != shots[-1])
            if not chosen:
                return


def _in_shots(reader: VideoReader, width: int, height: int) -> Iterator[tuple[np.ndarray, Fraction, int]]:
    """(fitted frame, instant, index of its shot)."""
    detector, before, shot = CutDetector(), None, 0
    for frame in reader:
        picture = fit(frame.rgb, width, height)
        shot += before is not None and detector.is_cut(before, picture)
        yield picture, frame.instant, shot
        before = picture
