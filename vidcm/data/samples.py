"""One training sample, as a pure function of (config, cached clips, sample number): no state, no order of calls.

Sample n of a run is the same whichever rank, process or batch it is drawn in. Plain numpy on uint8, so that worker
processes need no torch; `batches` makes tensors of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidcm.data.augment import Orientation, Window, cut, photometric_table
from vidcm.data.clips import Clip
from vidcm.data.config import DataConfig, distribution
from vidcm.data.drawn import GRID, Drawn, flows_across, flows_beyond, shrunken
from vidcm.data.interruptions import flashed, joined
from vidcm.data.pool import ClipPool, keyed_rng
from vidcm.data.shake import camera_path, cut_off, within
from vidcm.data.synthetic import moments, random_scene, random_times
from vidcm.data.whole import WholeClip, draw_whole


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
    shaken: np.ndarray | None = None  # the way of the window over (before, *indices, after): pixels (x, y), [K + 4, 2]

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


def draw_sample(config: DataConfig, pool: ClipPool, number: int, between: int) -> Sample | WholeClip:
    """Sample `number` (>= 0) with `between` in-between frames."""
    rng = keyed_rng(config.seed, 0, number)
    if config.whole:
        return draw_whole(rng, config, pool.anchors(number), pool.frames, pool.captions)
    make = _synthetic if rng.random() < config.synthetic else _real
    ends_present = _presence(rng, config.absent)
    drawn = make(rng, config, pool, pool.anchors(number), between)
    drawn = replace(drawn, frames=_photometric(rng, config, drawn.frames))
    told = (rng.random(2) >= config.alone) & all(ends_present)
    if all(ends_present):
        drawn = _interrupted(rng, config, pool, number, drawn)
    drawn.frames[[1, -2]] *= np.array(ends_present)[:, None, None, None]
    beyond_present = drawn.beyond_present & told
    flows = flows_across(drawn, ends_present) | flows_beyond(drawn, beyond_present)
    beyond = np.stack([shrunken(drawn.frames[end]) for end in (0, -1)]) * beyond_present[:, None, None, None]
    return Sample(drawn.frames[1:-1], drawn.tau, *ends_present, beyond, drawn.steps, beyond_present, **flows)


def _presence(rng: np.random.Generator, absent: float) -> tuple[bool, bool]:
    chance = rng.random()
    return chance >= absent / 2, not absent / 2 <= chance < absent


def _interrupted(rng, config: DataConfig, pool: ClipPool, number: int, drawn: Drawn) -> Drawn:
    """With a flash or a cut, or as it was. Drawn last: the samples without either do not depend on their shares."""
    chance = rng.random()
    if chance < config.flash:
        return flashed(rng, drawn)
    if chance < config.flash + config.cut and (anchors := pool.elsewhere(number)):
        other = _real(rng, config, pool, anchors, len(drawn.tau))
        return joined(rng, drawn, replace(other, frames=_photometric(rng, config, other.frames)))
    return drawn


def _real(rng, config: DataConfig, pool: ClipPool, anchors: Sequence[tuple[Clip, int]], between: int) -> Drawn:
    """Out of a clip."""
    moments = [draw_moment(rng, config, *anchor, between) for anchor in anchors]
    moving = rng.random() < config.moving
    moment = max(moments, key=lambda m: _movement(pool, m)) if moving else moments[0]
    source = pool.frames(moment.clip)
    size = config.crop[::-1] if moment.orientation.transpose else config.crop
    if config.shake and rng.random() < config.shake:
        moment = _shaken(rng, moment, size)
    before, after = (moment.indices[end] if moment.beyond[end] is None else moment.beyond[end] for end in (0, -1))
    indices = (before, *moment.indices, after)
    if moment.shaken is None:
        frames = np.stack([cut(source[index], moment.window, size) for index in indices])
    else:
        path = within(moment.shaken, moment.window, source.shape[1:3])
        frames = np.stack([cut_off(source[i], moment.window, by, size) for i, by in zip(indices, path, strict=True)])
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


def _shaken(rng: np.random.Generator, moment: Moment, size: tuple[int, int]) -> Moment:
    """In the hand of somebody who walks, at the cached size: a window that shrinks hardly leaves room."""
    window = Window.draw(rng, moment.clip.shape[1:3], size, 1.0)
    lead, trail = moment.steps
    return replace(moment, window=window, shaken=camera_path(rng, np.array([-lead, 0, *moment.tau, 1, 1 + trail])))


def _movement(pool: ClipPool, moment: Moment) -> float:
    """Mean absolute difference of the two ends in the window, on every eighth pixel each way."""
    frames, look = pool.frames(moment.clip), moment.window.slices(every=8)
    first, last = (np.ascontiguousarray(frames[moment.indices[end]][look]) for end in (0, -1))
    return float(cv2.norm(first, last, cv2.NORM_L1)) / first.size


def _synthetic(rng, config: DataConfig, pool: ClipPool, anchors: Sequence[tuple[Clip, int]], between: int) -> Drawn:
    """A rendered one."""
    scene = random_scene(rng, *config.crop, pool.texture, config.reach)
    tau = random_times(rng, between)
    frames, covers = moments(scene, (-1.0, 0.0, *tau, 1.0, 2.0))
    to_first, to_last = (
        np.stack([scene.flow(cover, t, end, GRID) for cover, t in zip(covers[2:-2], tau, strict=True)], axis=1)
        for end in (0.0, 1.0)
    )
    return Drawn(frames, np.array(tau, np.float32), np.ones(2, np.float32), np.ones(2, bool), (to_first, to_last))


def _photometric(rng, config: DataConfig, frames: np.ndarray) -> np.ndarray:
    """The same change of tone and colour for all frames."""
    if rng.random() < config.swap_channels:
        frames = np.ascontiguousarray(frames[..., rng.permutation(3)])
    if config.photometric:
        table = photometric_table(rng, config.photometric)
        frames = cv2.LUT(frames.reshape(-1, frames.shape[2], 3), table).reshape(frames.shape)
    return frames
