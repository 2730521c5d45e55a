"""A training sample for generators: a whole clip at an even pace, and which caption it has. No motion is measured."""

from dataclasses import dataclass

import numpy as np

from vidcm.data.augment import Orientation, Window, cut
from vidcm.data.clip import Clip
from vidcm.data.config import DataConfig


@dataclass(frozen=True)
class WholeClip:
    """frames: uint8 [2 + K, H, W, 3]; tau: float32 [K], exact positions between the ends; caption: its place in
    `ClipCache.captions`. Both ends are always there."""

    frames: np.ndarray
    tau: np.ndarray
    caption: np.int64
    first_present: bool = True
    last_present: bool = True


@dataclass(frozen=True)
class Stretch:
    """Frames of a clip at an even pace, and the part of them that is shown."""

    clip: Clip
    indices: range
    window: Window

    def cut(self, frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """uint8 [T, H, W, 3] of a clip's frames, at `size` (height, width)."""
        return np.stack([cut(frames[index], self.window, size) for index in self.indices])


def stride(clip: Clip, rate: float | None) -> int:
    """Which frames of a clip come nearest to `rate` a second: every so many-th. None: all of them."""
    if rate is None or clip.length < 2:
        return 1
    own = (clip.length - 1) / float(clip.instants[-1])
    return max(1, round(own / rate))


def span(clip: Clip, count: int, rate: float | None) -> int:
    """How many frames of a clip `count` frames at `rate` take."""
    return (count - 1) * stride(clip, rate) + 1


def draw_whole(
    rng: np.random.Generator, config: DataConfig, anchors: list[tuple[Clip, int]], frames_of, captions: dict[str, int]
) -> WholeClip:
    """From the livelier of the anchors, as often as `config.moving` says. frames_of(clip): uint8 [T, H, W, 3]."""
    (count,) = config.between  # one number of frames, which `config` has checked
    drawn = [_stretch(rng, config, *anchor, count + 2) for anchor in anchors]
    lively = rng.random() < config.moving
    stretch = max(drawn, key=lambda one: _movement(frames_of(one.clip), one)) if lively else drawn[0]
    frames = stretch.cut(frames_of(stretch.clip), config.crop)
    if rng.random() < config.flip:
        frames = Orientation(horizontal=True)(frames)
    first, *between, last = (stretch.clip.instants[index] for index in stretch.indices)
    tau = np.array([float((instant - first) / (last - first)) for instant in between], np.float32)
    return WholeClip(np.ascontiguousarray(frames), tau, np.int64(captions[stretch.clip.caption]))


def _stretch(rng: np.random.Generator, config: DataConfig, clip: Clip, anchor: int, count: int) -> Stretch:
    """From the anchor on, or as near to it as the clip allows; as much of the picture as the crop's aspect does."""
    step = stride(clip, config.rate)
    start = min(anchor, clip.length - span(clip, count, config.rate))
    window = Window.draw(rng, clip.shape[1:3], config.crop, scale=0.0)
    return Stretch(clip, range(start, start + count * step, step), window)


def _movement(frames: np.ndarray, stretch: Stretch) -> float:
    """Mean absolute difference of neighbouring frames in the window, on every eighth pixel each way."""
    look = stretch.window.slices(every=8)
    seen = np.stack([frames[index][look] for index in stretch.indices]).astype(np.int16)
    return float(np.abs(np.diff(seen, axis=0)).mean())
