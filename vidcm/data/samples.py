"""One training sample, as a pure function of (config, cached clips, sample number): no state, no order of calls.

Sample n of a run is the same whichever rank, process or batch it is drawn in. Plain numpy on uint8, so that worker
processes need no torch; `batches` makes tensors of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidcm.data.augment import Orientation, Window, cut, photometric_table
from vidcm.data.clips import Clip
from vidcm.data.config import DataConfig, distribution
from vidcm.data.pool import ClipPool, keyed_rng
from vidcm.data.synthetic import moments, random_scene, random_times
from vidcm.data.whole import WholeClip, draw_whole
from vidcm.media.motion import dis_flow, grey, reduce_flow

GRID = 4  # flows live on cells of GRID x GRID pixels


@dataclass(frozen=True)
class Sample:
    """frames: uint8 [2 + K, H, W, 3], first, in between, last; an absent end is black.

    beyond: uint8 [2, h, w, 3], the frames before the first and after the last on the grid of GRID x GRID cells; steps:
    float32 [2], how far off in time, in units of the pair; beyond_present: bool [2]. Flows float32 on that grid:
    forward, backward, before (from the first), after (from the last) [2, h, w]; to_first, to_last [2, K, h, w].
    """

    frames: np.ndarray
    tau: np.ndarray  # float32 [K]
    first_present: bool
    last_present: bool
    beyond: np.ndarray
    steps: np.ndarray
    beyond_present: np.ndarray
    flow_forward: np.ndarray
    flow_backward: np.ndarray
    flow_before: np.ndarray
    flow_after: np.ndarray
    flow_to_first: np.ndarray
    flow_to_last: np.ndarray


@dataclass(frozen=True)
class Moment:
    """A candidate: K + 2 frames of one clip, the window to cut and how to turn it. indices: in order of play; beyond:
    of the frames before and after them, as far off as the ends are from each other; None beyond the clip."""

    clip: Clip
    indices: tuple[int, ...]
    beyond: tuple[int | None, int | None]
    window: Window
    orientation: Orientation

    @property
    def tau(self) -> np.ndarray:
        """Exact positions between the ends, rounded once: float32 [K]."""
        first, *between, last = (self.clip.instants[index] for index in self.indices)
        return np.array([float((instant - first) / (last - first)) for instant in between], np.float32)

    @property
    def steps(self) -> np.ndarray:
        """Time to the frames beyond, in units of that between the ends: float32 [2], 1 where there is none."""
        first, last = (self.clip.instants[self.indices[end]] for end in (0, -1))
        before, after = (None if index is None else self.clip.instants[index] for index in self.beyond)
        lead = 1 if before is None else (first - before) / (last - first)
        return np.array([float(lead), float(1 if after is None else (after - last) / (last - first))], np.float32)


@dataclass(frozen=True)
class Drawn:
    """frames: uint8 [4 + K, H, W, 3], with the frames beyond the ends (of any content where not present) at both
    sides; tau, steps, beyond_present: see Sample; exact: the flows to both ends [2, K, h, w] where known."""

    frames: np.ndarray
    tau: np.ndarray
    steps: np.ndarray
    beyond_present: np.ndarray
    exact: list[np.ndarray] | None = None


def draw_sample(config: DataConfig, pool: ClipPool, number: int, between: int) -> Sample | WholeClip:
    """Sample `number` (>= 0) with `between` in-between frames."""
    rng = keyed_rng(config.seed, 0, number)
    if config.whole:
        return draw_whole(rng, config, pool.anchors(number), pool.frames, pool.captions)
    make = _synthetic if rng.random() < config.synthetic else _real
    ends_present = _presence(rng, config.absent)
    drawn = make(rng, config, pool, number, between)
    before, *frames, after = _photometric(rng, config, drawn.frames)
    beyond_present = drawn.beyond_present & (rng.random(2) >= config.alone) & all(ends_present)
    for end, present in zip((0, -1), ends_present, strict=True):
        frames[end] *= present
    flows = _flows(frames, *ends_present, drawn.exact) | _flows_beyond(frames, (before, after), beyond_present)
    beyond = np.stack([_shrunken(frame) for frame in (before, after)]) * beyond_present[:, None, None, None]
    return Sample(np.stack(frames), drawn.tau, *ends_present, beyond, drawn.steps, beyond_present, **flows)


def _presence(rng: np.random.Generator, absent: float) -> tuple[bool, bool]:
    chance = rng.random()
    return chance >= absent / 2, not absent / 2 <= chance < absent


def _real(rng, config: DataConfig, pool: ClipPool, number: int, between: int):
    """Out of a clip."""
    moments = [draw_moment(rng, config, *anchor, between) for anchor in pool.anchors(number)]
    moving = rng.random() < config.moving
    moment = max(moments, key=lambda m: _movement(pool, m)) if moving else moments[0]
    source = pool.frames(moment.clip)
    size = config.crop[::-1] if moment.orientation.transpose else config.crop
    before, after = (moment.indices[end] if moment.beyond[end] is None else moment.beyond[end] for end in (0, -1))
    frames = np.stack([cut(source[index], moment.window, size) for index in (before, *moment.indices, after)])
    frames = np.ascontiguousarray(moment.orientation(frames))
    return Drawn(frames, moment.tau, moment.steps, np.array([index is not None for index in moment.beyond]))


def draw_moment(rng: np.random.Generator, config: DataConfig, clip: Clip, anchor: int, between: int) -> Moment:
    """Ends `gap` source frames apart, starting at the anchor or as near to it as the clip allows."""
    gaps, weights = distribution({g: w for g, w in config.gaps.items() if between < g < clip.length})
    gap = int(rng.choice(gaps, p=weights))
    start = min(anchor, clip.length - 1 - gap)
    inside = sorted(int(i) for i in rng.choice(np.arange(1, gap), between, replace=False))
    indices = tuple(start + offset for offset in (0, *inside, gap))
    beyond = (start - gap if start >= gap else None, start + 2 * gap if start + 2 * gap < clip.length else None)
    if rng.random() < config.reverse:
        indices, beyond = indices[::-1], beyond[::-1]
    orientation = Orientation.draw(rng, config.flip, config.quarter_turn)
    size = config.crop[::-1] if orientation.transpose else config.crop
    scale = 1.0 if rng.random() < config.native else rng.uniform(*config.scale)
    return Moment(clip, indices, beyond, Window.draw(rng, clip.shape[1:3], size, scale), orientation)


def _movement(pool: ClipPool, moment: Moment) -> float:
    """Mean absolute difference of the two ends in the window, on every eighth pixel each way."""
    frames, look = pool.frames(moment.clip), moment.window.slices(every=8)
    first, last = (np.ascontiguousarray(frames[moment.indices[end]][look]) for end in (0, -1))
    return float(cv2.norm(first, last, cv2.NORM_L1)) / first.size


def _synthetic(rng, config: DataConfig, pool: ClipPool, number: int, between: int):
    """A rendered one."""
    scene = random_scene(rng, *config.crop, pool.texture, config.reach)
    tau = random_times(rng, between)
    frames, covers = moments(scene, (-1.0, 0.0, *tau, 1.0, 2.0))
    exact = [
        np.stack([scene.flow(cover, t, end, GRID) for cover, t in zip(covers[2:-2], tau, strict=True)], axis=1)
        for end in (0.0, 1.0)
    ]
    return Drawn(frames, np.array(tau, np.float32), np.ones(2, np.float32), np.ones(2, bool), exact)


def _photometric(rng, config: DataConfig, frames: np.ndarray) -> np.ndarray:
    """The same change of tone and colour for all frames."""
    if rng.random() < config.swap_channels:
        frames = np.ascontiguousarray(frames[..., rng.permutation(3)])
    if config.photometric:
        table = photometric_table(rng, config.photometric)
        frames = cv2.LUT(frames.reshape(-1, frames.shape[2], 3), table).reshape(frames.shape)
    return frames


def _shrunken(frame: np.ndarray) -> np.ndarray:
    """Averaged over cells of GRID x GRID pixels."""
    height, width = (side // GRID for side in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def _flows_beyond(frames: Sequence[np.ndarray], beyond: Sequence[np.ndarray], present: np.ndarray) -> dict:
    """From the ends to the frames beyond them; zero where there is none."""
    flows = {}
    for name, end, frame, there in zip(("before", "after"), (frames[0], frames[-1]), beyond, present, strict=True):
        nothing = np.zeros((2, end.shape[0] // GRID, end.shape[1] // GRID), np.float32)
        flows[f"flow_{name}"] = reduce_flow(dis_flow(grey(end), grey(frame), "fine"), GRID) if there else nothing
    return flows


def _flows(frames: Sequence[np.ndarray], first_present: bool, last_present: bool, exact) -> dict[str, np.ndarray]:
    """Measured on the luma of the frames as they are now, or exact where known; zero for an absent end."""
    first, *between, last = (grey(frame) for frame in frames)
    nothing = np.zeros((2, first.shape[0] // GRID, first.shape[1] // GRID), np.float32)

    def flow(a: np.ndarray, b: np.ndarray, known: bool) -> np.ndarray:
        return reduce_flow(dis_flow(a, b, "fine"), GRID) if known else nothing

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
