"""Small videos and caches."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidcm.data.clips import Clip, ClipCache

from .clip_makers import scene_frames, write_video


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder of four videos: a, b, c for training, d for validation."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed, name in enumerate("abcd"):
        write_video(folder / f"{name}.mp4", scene_frames(seed, 6))
    rows = [f"{name}.mp4,shoot {name},{'val' if name == 'd' else 'train'}" for name in "abcd"]
    (folder / "manifest.csv").write_text("\n".join(["file,source,split", *rows]))
    return folder


MakeCache = Callable[..., ClipCache]


@pytest.fixture
def make_cache(tmp_path: Path) -> MakeCache:
    """make_cache(name=(frames_THWC, split, instants or None), ...) -> the cache of these clips."""

    def make(**contents: tuple) -> ClipCache:
        folder = tmp_path / "cache"
        folder.mkdir()
        clips = []
        for name, (frames, split, instants) in contents.items():
            np.save(folder / f"{name}.npy", frames)
            instants = tuple(instants or (Fraction(i, 25) for i in range(len(frames))))
            clips.append(Clip(name, name, split, name, 0, 0, f"{name}.npy", frames.shape, 0, instants))
        cache = ClipCache(folder, tuple(clips))
        cache.save()
        return cache

    return make
