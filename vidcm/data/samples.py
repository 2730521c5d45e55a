"""One training sample, as a pure function of (config, cached clips, sample number): no state, no order of calls.

Sample n of a run is the same whichever rank, process or batch it is drawn in. Plain numpy on uint8, so that worker
processes need no torch; `batches` makes tensors of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from vidcm.core.errors import UserError
from vidcm.data.augment import Orientation, Window, cut, photometric_table
from vidcm.data.clips import Clip, ClipCache
from vidcm.data.synthetic import moments, random_scene, random_times
from vidcm.media.motion import dis_flow, grey, reduce_flow

GRID = 4  # flows live on cells of GRID x GRID pixels


@dataclass(frozen=True)
class DataConfig:
    """What training batches are made of. Shares and chances are between 0 and 1."""

    cache: str = ".cache/clips"
    footage: str | None = None  # folder of videos that the cache is made of, and refreshed from; None: take it as it is
    short_side: int | None = None  # of cached frames; None: as large as they are
    workers: int = 1  # processes that make batches ahead of need
    seed: int = 0
    batch_size: int = 16  # of one rank
    crop: tuple[int, int] = (128, 128)  # height, width; multiples of 32
    between: dict[int, float] = field(default_factory=lambda: {1: 0.6, 3: 0.4})  # frames -> share of steps
    gaps: dict[int, float] = field(  # distance of the ends in source frames -> weight
        default_factory=lambda: {2: 1.0, 3: 0.7, 4: 0.6, 5: 0.35, 6: 0.3, 7: 0.2, 8: 0.2}
    )
    synthetic: float = 0.15  # share of rendered scenes
    reach: float = 0.16  # longest translation in them, as a share of the width
    native: float = 0.3  # share of crops at the cached size; the others shrink to a scale drawn from `scale`
    scale: tuple[float, float] = (0.6, 1.0)
    moving: float = 0.7  # chance that of two candidate crops the one that moves more is taken
    reverse: float = 0.5  # chance of running backwards
    flip: float = 0.5  # chance of a mirror image, for each axis
    quarter_turn: float = 0.25
    photometric: float = 0.2  # strength of brightness, contrast and gamma; 0: off
    swap_channels: float = 0.1
    absent: float = 0.12  # chance that an end is missing: half the time the first, half the last

    def __post_init__(self) -> None:
        for name, plain in {"crop": tuple, "scale": tuple, "between": _shares, "gaps": _shares}.items():
            object.__setattr__(self, name, plain(getattr(self, name)))
        if any(side % 32 or side <= 0 for side in self.crop):
            raise UserError(f"data.crop must be multiples of 32, got {list(self.crop)}")
        if min(self.between) < 1 or max(self.between) > max(self.gaps) - 1:
            raise UserError(
                f"data.between asks for {max(self.between)} frames in between, but the largest of data.gaps is "
                f"{max(self.gaps)}: it must be at least one more"
            )

    def plain(self) -> "DataConfig":
        """The same data as it is: no augmentation, no rendered scenes, both ends there."""
        off = ("synthetic", "reverse", "flip", "quarter_turn", "photometric", "swap_channels", "absent")
        return replace(self, native=1.0, **dict.fromkeys(off, 0.0))


def _shares(weights: Mapping[int | str, float]) -> dict[int, float]:
    """Whole numbers, in order, and their weights; YAML may give either as text."""
    try:
        return {number: float(weights[key]) for number, key in sorted((int(key), key) for key in weights)}
    except ValueError as error:
        raise UserError(
            f"expected a mapping from whole numbers to weights, such as {{1: 0.6, 3: 0.4}}: {error}"
        ) from None


@dataclass(frozen=True)
class Sample:
    """frames: uint8 [2 + K, H, W, 3], first, in between, last; an absent end is black.

    Flows float32 on the grid of GRID x GRID cells: forward, backward [2, h, w]; to_first, to_last [2, K, h, w].
    """

    frames: np.ndarray
    tau: np.ndarray  # float32 [K]
    first_present: bool
    last_present: bool
    flow_forward: np.ndarray
    flow_backward: np.ndarray
    flow_to_first: np.ndarray
    flow_to_last: np.ndarray


@dataclass(frozen=True)
class Moment:
    """A candidate: K + 2 frames of one clip, the window to cut and how to turn it. indices: in order of play."""

    clip: Clip
    indices: tuple[int, ...]
    window: Window
    orientation: Orientation

    @property
    def tau(self) -> np.ndarray:
        """Exact positions between the ends, rounded once: float32 [K]."""
        first, *between, last = (self.clip.instants[index] for index in self.indices)
        return np.array([float((instant - first) / (last - first)) for instant in between], np.float32)


def keyed_rng(*key: int) -> np.random.Generator:
    """A generator that depends on the key alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


class ClipPool:
    """The clips of one split as one long line of frames; every epoch goes through it once, in a new order."""

    def __init__(self, cache: ClipCache, split: str, config: DataConfig) -> None:
        need = max(config.between) + 2
        self.cache, self.config = cache, config
        self.clips = tuple(clip for clip in cache.split(split) if clip.length >= need)
        if not self.clips:
            raise UserError(f"the clip cache {cache.folder} has no {split} clip of {need} frames or more")
        self._ends = np.cumsum([clip.length for clip in self.clips])
        self.samples_per_epoch = int(self._ends[-1]) // 2
        self._order = lru_cache(maxsize=2)(self._shuffled)
        self._frames = lru_cache(maxsize=None)(cache.frames)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return keyed_rng(self.config.seed, 1, epoch).permutation(int(self._ends[-1]))

    def frames(self, clip: Clip) -> np.ndarray:
        return self._frames(clip)

    def anchors(self, number: int) -> list[tuple[Clip, int]]:
        """The two frames (clip, index) that sample `number` may start from; no other sample of its epoch has them."""
        epoch, place = divmod(number, self.samples_per_epoch)
        return [self.locate(int(frame)) for frame in self._order(epoch)[2 * place : 2 * place + 2]]

    def locate(self, frame: int) -> tuple[Clip, int]:
        which = int(np.searchsorted(self._ends, frame, side="right"))
        return self.clips[which], frame - int(self._ends[which]) + self.clips[which].length

    def texture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A piece of any frame, uint8 RGB [height, width, 3]."""
        clip, index = self.locate(int(rng.integers(self._ends[-1])))
        window = Window.draw(rng, clip.shape[1:3], (height, width), scale=1.0)
        return cut(self.frames(clip)[index], window, (height, width))


def frames_between(config: DataConfig, step: int) -> int:
    """How many in-between frames the batches of a step have: the same on every rank."""
    counts, weights = _distribution(config.between)
    return int(keyed_rng(config.seed, 2, step).choice(counts, p=weights))


def draw_sample(config: DataConfig, pool: ClipPool, number: int, between: int) -> Sample:
    """Sample `number` (>= 0) with `between` in-between frames."""
    rng = keyed_rng(config.seed, 0, number)
    make = _synthetic if rng.random() < config.synthetic else _real
    first_present, last_present = _presence(rng, config.absent)
    frames, tau, exact = make(rng, config, pool, number, between)
    frames = _photometric(rng, config, frames)
    frames[0] *= first_present
    frames[-1] *= last_present
    return Sample(frames, tau, first_present, last_present, **_flows(frames, first_present, last_present, exact))


def _presence(rng: np.random.Generator, absent: float) -> tuple[bool, bool]:
    chance = rng.random()
    return chance >= absent / 2, not absent / 2 <= chance < absent


def _real(rng, config: DataConfig, pool: ClipPool, number: int, between: int):
    """Frames [2 + K, H, W, 3] and tau out of a clip."""
    moments = [draw_moment(rng, config, *anchor, between) for anchor in pool.anchors(number)]
    moving = rng.random() < config.moving
    moment = max(moments, key=lambda m: _movement(pool, m)) if moving else moments[0]
    source = pool.frames(moment.clip)
    size = config.crop[::-1] if moment.orientation.transpose else config.crop
    frames = np.stack([cut(source[index], moment.window, size) for index in moment.indices])
    return np.ascontiguousarray(moment.orientation(frames)), moment.tau, None


def draw_moment(rng: np.random.Generator, config: DataConfig, clip: Clip, anchor: int, between: int) -> Moment:
    """Ends `gap` source frames apart, starting at the anchor or as near to it as the clip allows."""
    gaps, weights = _distribution({g: w for g, w in config.gaps.items() if between < g < clip.length})
    gap = int(rng.choice(gaps, p=weights))
    start = min(anchor, clip.length - 1 - gap)
    inside = sorted(int(i) for i in rng.choice(np.arange(1, gap), between, replace=False))
    indices = tuple(start + offset for offset in (0, *inside, gap))
    indices = indices[::-1] if rng.random() < config.reverse else indices
    orientation = Orientation.draw(rng, config.flip, config.quarter_turn)
    size = config.crop[::-1] if orientation.transpose else config.crop
    scale = 1.0 if rng.random() < config.native else rng.uniform(*config.scale)
    return Moment(clip, indices, Window.draw(rng, clip.shape[1:3], size, scale), orientation)


def _movement(pool: ClipPool, moment: Moment) -> float:
    """Mean absolute difference of the two ends in the window, on every eighth pixel each way."""
    frames, look = pool.frames(moment.clip), moment.window.slices(every=8)
    first, last = (np.ascontiguousarray(frames[moment.indices[end]][look]) for end in (0, -1))
    return float(cv2.norm(first, last, cv2.NORM_L1)) / first.size


def _synthetic(rng, config: DataConfig, pool: ClipPool, number: int, between: int):
    """Frames and tau of a rendered scene, and its exact flows to both ends, [2, K, h, w] each."""
    scene = random_scene(rng, *config.crop, pool.texture, config.reach)
    tau = random_times(rng, between)
    frames, covers = moments(scene, (0.0, *tau, 1.0))
    exact = [
        np.stack([scene.flow(cover, t, end, GRID) for cover, t in zip(covers[1:-1], tau, strict=True)], axis=1)
        for end in (0.0, 1.0)
    ]
    return frames, np.array(tau, np.float32), exact


def _photometric(rng, config: DataConfig, frames: np.ndarray) -> np.ndarray:
    """The same change of tone and colour for all frames."""
    if rng.random() < config.swap_channels:
        frames = np.ascontiguousarray(frames[..., rng.permutation(3)])
    if config.photometric:
        table = photometric_table(rng, config.photometric)
        frames = cv2.LUT(frames.reshape(-1, frames.shape[2], 3), table).reshape(frames.shape)
    return frames


def _flows(frames: np.ndarray, first_present: bool, last_present: bool, exact) -> dict[str, np.ndarray]:
    """Measured on the luma of the frames as they are now, or exact where known; zero for an absent end."""
    first, *between, last = (grey(frame) for frame in frames)
    nothing = np.zeros((2, first.shape[0] // GRID, first.shape[1] // GRID), np.float32)

    def flow(a: np.ndarray, b: np.ndarray, known: bool) -> np.ndarray:
        return reduce_flow(dis_flow(a, b), GRID) if known else nothing

    if exact is not None:
        to_first, to_last = exact[0] * first_present, exact[1] * last_present
    else:
        to_first = np.stack([flow(frame, first, first_present) for frame in between], axis=1)
        to_last = np.stack([flow(frame, last, last_present) for frame in between], axis=1)
    both = first_present and last_present
    return {
        "flow_forward": flow(first, last, both),
        "flow_backward": flow(last, first, both),
        "flow_to_first": to_first,
        "flow_to_last": to_last,
    }


def _distribution(weights: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    chances = np.array(list(weights.values()))
    return np.array(list(weights)), chances / chances.sum()


class SampleSource:
    """Batches of samples as numpy arrays; what a worker process holds."""

    def __init__(self, config: DataConfig, cache: ClipCache, split: str = "train") -> None:
        self.config, self.pool = config, ClipPool(cache, split, config)

    @classmethod
    def open(cls, config: DataConfig, folder: Path, split: str) -> "SampleSource":
        return cls(config, ClipCache.open(folder), split)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> dict[str, np.ndarray]:
        """The fields of Sample, stacked along a new first axis of batch_size."""
        size = self.config.batch_size
        between = frames_between(self.config, step)
        numbers = range((step * world + rank) * size, (step * world + rank + 1) * size)
        samples = [draw_sample(self.config, self.pool, number, between) for number in numbers]
        return {name: np.stack([getattr(sample, name) for sample in samples]) for name in Sample.__dataclass_fields__}
