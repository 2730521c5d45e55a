"""What a model is judged on: windows of held-out clips, of rendered scenes, and of footage named as a reference.

A window is two kept frames, those next to them, and the true ones between (vidcm.evaluation.windows). A set is one list
of windows for each clip, so that a clip counts once however long it is. All are fixed: every judgement sees the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidcm.core.errors import UserError
from vidcm.data import manifest
from vidcm.data.arrays import shrink
from vidcm.data.clips import Clip, ClipCache
from vidcm.data.synthetic import random_scene
from vidcm.evaluation.windows import Window, find_clips, read_windows, spread

FACTORS = {2: 1, 4: 2}  # every second frame rebuilt, or three of four (larger motion); there, half as many windows
SIDE = 256  # short side of judged frames, where the shipped model works
NAMES = {"train": "training", "val": "validation"}
RENDERED, RENDERED_SEED = 12, 7

Set = list[list[Window]]


def held_out(cache: ClipCache, count: int, split: str = "val") -> dict[str, Set]:
    """Of the dataset's validation clips, or of another split, about `count` windows in all at 2x. Raises UserError
    where there are none."""
    found = {f"{split} {factor}x": _spread_over(cache, split, factor, count // n) for factor, n in FACTORS.items()}
    if not found[f"{split} 2x"]:
        raise UserError(
            f"{cache.folder} has no {NAMES[split]} clip of 3 frames or more: prepare more than one video, or name one "
            f"for `{split}` in a manifest.csv (docs/prepare.md)"
        )
    return {name: clips for name, clips in found.items() if clips}


def _spread_over(cache: ClipCache, split: str | None, factor: int, count: int) -> Set:
    """About `count` windows, at least one, evenly over the clips of a split (None: all) that are long enough."""
    clips = [clip for clip in cache.clips if split in (None, clip.split) and clip.length > factor]
    chosen = [clips[i] for i in spread(len(clips), max(1, count))]
    return [list(clip_windows(cache, clip, factor, max(1, count // len(chosen)))) for clip in chosen]


def clip_windows(cache: ClipCache, clip: Clip, factor: int, count: int) -> Iterator[Window]:
    """Up to `count` windows, evenly over a clip of a dataset; none where it is shorter than one."""
    frames = cache.frames(clip)

    def seen(index: int) -> np.ndarray:
        return np.array(shrink(np.asarray(frames[index]), SIDE))  # a mapped frame is read-only

    def beyond(index: int) -> tuple[np.ndarray, Fraction] | None:
        return (seen(index), clip.instants[index]) if 0 <= index < clip.length else None

    for position in spread((clip.length - 1) // factor, count):
        first, last = position * factor, (position + 1) * factor
        pictures = np.stack([seen(index) for index in range(first, last + 1)])
        outer = beyond(first - factor), beyond(last + factor)
        yield Window(pictures, clip.instants[first : last + 1], 0, position, False, *outer)


def rendered() -> Set:
    """Scenes with exact in-between frames, the same whatever the footage: no tuning should lose much on them."""
    times = [Fraction(i, 2) for i in range(3)]
    sets = []
    for number in range(RENDERED):
        scene = random_scene(np.random.default_rng((RENDERED_SEED, number)), SIDE, 448)
        frames = np.stack([scene.render(float(t))[0] for t in times])
        sets.append([Window(frames, tuple(times), number, 0)])
    return sets


def referred(places: Sequence[str], count: int) -> dict[str, Set]:
    """Footage named as a reference: datasets of `vidcm prepare`, folders of videos, videos."""
    return {f"reference {Path(place).name}": _of_place(Path(place), count) for place in places}


def _of_place(place: Path, count: int) -> Set:
    if place.is_dir() and manifest.is_in(place):
        found = _spread_over(ClipCache.open(place), None, 2, count)
    else:
        files = find_clips([place])
        files = [files[i] for i in spread(len(files), count)]
        per_file = max(1, count // len(files))
        found = [[w for w in read_windows(file, 448, SIDE, 2, per_file) if not w.cut] for file in files]
    found = [windows for windows in found if windows]
    if not found:
        raise UserError(f"nothing to compare on in the reference {place}: it needs scenes of 3 frames or more")
    return found


def total(sets: Mapping[str, Set]) -> int:
    """How many windows there are."""
    return sum(len(windows) for clips in sets.values() for windows in clips)
