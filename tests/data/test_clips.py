import os
import shutil
from fractions import Fraction

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.data import clips
from vidcm.data.clips import ClipCache, build_cache

from .clip_makers import scene_frames, write_video


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the videos that were decoded, as it happens."""
    names: list[str] = []
    read = clips.read_frames
    monkeypatch.setattr(clips, "read_frames", lambda path: names.append(path.name) or read(path))
    return names


def test_the_cache_holds_what_the_videos_hold(videos, tmp_path):
    build_cache(videos, tmp_path / "cache")
    cache = ClipCache.open(tmp_path / "cache")
    assert [(clip.file, clip.split) for clip in cache.clips] == [
        ("a.mp4", "train"), ("b.mp4", "train"), ("c.mp4", "train"), ("d.mp4", "val"),
    ]  # fmt: skip
    for clip in cache.clips:
        frames = cache.frames(clip)
        decoded = list(clips.read_frames(videos / clip.file))
        np.testing.assert_array_equal(frames, np.stack([frame for _, frame in decoded]))
        assert clip.instants == tuple(Fraction(i, 25) for i in range(6))
        assert isinstance(frames, np.memmap)
        assert not frames.flags.writeable


def test_running_again_decodes_nothing(videos, tmp_path, decoded):
    first = build_cache(videos, tmp_path / "cache", workers=2)
    assert sorted(decoded) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert build_cache(videos, tmp_path / "cache") == first
    assert len(decoded) == 4


def test_a_new_time_stamp_alone_decodes_nothing_and_new_content_decodes_that_video(videos, tmp_path, decoded):
    build_cache(videos, tmp_path / "cache")
    decoded.clear()
    os.utime(videos / "a.mp4", (0, 0))
    shutil.copy(videos / "b.mp4", videos / "e.mp4")  # not in the manifest
    build_cache(videos, tmp_path / "cache")
    assert decoded == []
    write_video(videos / "a.mp4", scene_frames(9, 5))
    cache = build_cache(videos, tmp_path / "cache")
    assert decoded == ["a.mp4"]
    assert cache.clips[0].length == 5
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 4  # the array of the old content is gone


def truncate(path):
    os.truncate(path, path.stat().st_size - 1000)


def scratch(path):
    with path.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(bytes(1000))


@pytest.mark.parametrize("damage", [truncate, scratch, os.unlink])
def test_a_damaged_array_is_decoded_again(videos, tmp_path, decoded, damage):
    cache = build_cache(videos, tmp_path / "cache")
    good = np.array(cache.frames(cache.clips[1]))
    decoded.clear()
    damage(cache.folder / cache.clips[1].array)
    cache = build_cache(videos, tmp_path / "cache")
    assert decoded == ["b.mp4"]
    np.testing.assert_array_equal(cache.frames(cache.clips[1]), good)


def test_what_cannot_be_read_is_named_and_the_rest_is_cached(videos, tmp_path):
    (videos / "b.mp4").write_text("not a video")
    (videos / "c.mp4").unlink()
    cache = build_cache(videos, tmp_path / "cache")
    assert [clip.file for clip in cache.clips] == ["a.mp4", "d.mp4"]
    assert set(cache.skipped) == {"b.mp4", "c.mp4"}
    assert all(reason and "\n" not in reason for reason in cache.skipped.values())
    assert ClipCache.open(cache.folder).skipped == cache.skipped
    assert not list(cache.folder.glob("*.partial"))


def test_an_interrupted_run_continues(videos, tmp_path, decoded):
    def stop_after_two(done, total, file):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cache(videos, tmp_path / "cache", progress=stop_after_two)
    assert [clip.file for clip in ClipCache.open(tmp_path / "cache").clips] == ["a.mp4", "b.mp4"]
    (tmp_path / "cache" / f"{'0' * 32}.npy.7-7.partial").touch()  # what a killed run leaves
    before = len(decoded)
    cache = build_cache(videos, tmp_path / "cache")
    assert {"a.mp4", "b.mp4"}.isdisjoint(decoded[before:])
    assert len(cache.clips) == 4
    assert not list(cache.folder.glob("*.partial"))


def test_without_a_manifest_copies_stay_in_one_split_and_new_files_move_none(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed in range(6):
        write_video(folder / f"{seed}.mp4", scene_frames(seed, 3))
        shutil.copy(folder / f"{seed}.mp4", folder / f"copy of {seed}.mp4")
    splits = {clip.file: clip.split for clip in build_cache(folder, tmp_path / "cache", val_share=0.5).clips}
    assert all(splits[f"{seed}.mp4"] == splits[f"copy of {seed}.mp4"] for seed in range(6))
    write_video(folder / "new.mp4", scene_frames(7, 3))
    cache = build_cache(folder, tmp_path / "cache", val_share=0.5)
    assert splits.items() < {clip.file: clip.split for clip in cache.clips}.items()


def test_short_side_shrinks_keeping_the_aspect_and_never_enlarges(videos, tmp_path):
    assert build_cache(videos, tmp_path / "cache", short_side=60).clips[0].shape == (6, 60, 80, 3)
    assert build_cache(videos, tmp_path / "cache", short_side=480).clips[0].shape == (6, 120, 160, 3)


@pytest.mark.parametrize("content", [None, "{", '{"version": 0, "clips": [], "skipped": {}, "short_side": null}'])
def test_a_cache_that_cannot_be_opened_says_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError, match=r"data\.footage|make (the cache|it) again"):
        ClipCache.open(tmp_path)
