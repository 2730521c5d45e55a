"""From files to a dataset that training reads; run again, it does only what is new."""

import errno
import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.data import sources
from vidcm.data.arrays import ArrayWriter
from vidcm.data.clips import ClipCache, build_cache
from vidcm.data.dataset import PrepareConfig, open_folder
from vidcm.data.prepare import prepare
from vidcm.data.splits import assign_split
from vidcm.media.reader import read_clip

from .clip_makers import scene_frames, write_video

FEW = PrepareConfig(min_frames=5)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two videos, one of them with a cut; a file that is none; a copy in a folder."""
    folder = tmp_path / "footage"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "a.mp4", scene_frames(0, 7))
    write_video(folder / "b.mp4", np.concatenate([scene_frames(1, 6), scene_frames(2, 8)]), rate=30)
    (folder / "c.mp4").write_text("not a video")
    shutil.copy(folder / "a.mp4", folder / "more" / "copy.mp4")
    return folder


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that were opened to be decoded."""
    names: list[str] = []
    survey = sources.Survey.__call__
    note = lambda self, file, tick: names.append(Path(file.path).name) or survey(self, file, tick)  # noqa: E731
    monkeypatch.setattr(sources.Survey, "__call__", note)
    return names


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(dataset: Path) -> list[dict]:
    return [json.loads(line) for line in (dataset / "manifest.jsonl").read_text().splitlines()]


def test_scenes_are_kept_with_their_frames_and_exact_instants(footage, tmp_path):
    done = prepare([footage], tmp_path / "set", FEW)
    cache = ClipCache.open(tmp_path / "set")
    assert [(clip.file, clip.length) for clip in cache.clips] == [("a.mp4#0", 7), ("b.mp4#0", 6), ("b.mp4#6", 8)]
    frames, instants = read_clip(footage / "b.mp4")
    np.testing.assert_array_equal(cache.frames(cache.clips[2]), frames[6:])
    assert cache.clips[2].instants == tuple(Fraction(i, 30) for i in range(8))
    line = lines(tmp_path / "set")[2]
    assert [Fraction(text) for text in line["instants"]] == instants[6:]
    assert (line["scene"], line["frames"], line["rate"], line["size"]) == (6, 8, "30", [160, 120])
    assert [file.file for file in done.unreadable] == ["c.mp4"]
    assert [Path(path).name for path in done.copies] == ["copy.mp4"]
    assert (tmp_path / "set" / "contact.png").stat().st_size > 1000


def test_paths_may_be_text_and_one_needs_no_list(footage, tmp_path):
    prepare([footage], tmp_path / "set", FEW)
    prepare(str(footage), str(tmp_path / "text"), FEW)
    assert (tmp_path / "text" / "manifest.jsonl").read_bytes() == (tmp_path / "set" / "manifest.jsonl").read_bytes()


def test_a_file_that_a_manifest_names_and_is_not_there_is_told_in_words(footage, tmp_path):
    (footage / "manifest.csv").write_text("file\na.mp4\ngone.mp4\n")
    [missing] = prepare([footage], tmp_path / "set", FEW).unreadable
    assert (missing.file, missing.problems) == ("gone.mp4", ("no such file or directory",))


def test_both_splits_have_a_source_and_no_source_is_in_both(footage, tmp_path):
    clips = prepare([footage], tmp_path / "set", FEW) and ClipCache.open(tmp_path / "set").clips
    assert {clip.split for clip in clips} == {"train", "val"}
    assert len({(clip.source, clip.split) for clip in clips}) == 2


def test_a_single_video_is_for_training_whatever_its_hash_says(footage, tmp_path):
    done = prepare([footage / "a.mp4"], tmp_path / "set", PrepareConfig(min_frames=5, val_share=0.99))
    assert assign_split(done.files[0].digest, 0.99) == "val"
    assert done.files[0].split == "train"


def test_no_share_for_validation_leaves_all_for_training(footage, tmp_path):
    prepare([footage], tmp_path / "set", PrepareConfig(min_frames=5, val_share=0))
    assert {line["split"] for line in lines(tmp_path / "set")} == {"train"}


def test_a_split_column_is_kept_and_a_source_in_two_splits_refused(footage, tmp_path):
    rows = ["file,source,split", "a.mp4,shoot 1,train", "b.mp4,shoot 2,train"]
    (footage / "manifest.csv").write_text("\n".join(rows))
    prepare([footage / "a.mp4", footage / "b.mp4"], tmp_path / "set", FEW)
    assert {(line["source"], line["split"]) for line in lines(tmp_path / "set")} == {
        ("shoot 1", "train"), ("shoot 2", "train"),
    }  # fmt: skip
    (footage / "manifest.csv").write_text("\n".join([rows[0], "a.mp4,shoot 1,val", "b.mp4,shoot 1,train"]))
    with pytest.raises(UserError, match=r"a\.mp4 is in val and b\.mp4 in train"):
        prepare([footage], tmp_path / "other", FEW)


def test_running_again_changes_nothing_and_decodes_nothing_but_what_could_not_be_read(footage, tmp_path, decoded):
    prepare([footage], tmp_path / "set", FEW)
    before = content(tmp_path / "set")
    decoded.clear()
    prepare([footage], tmp_path / "set", FEW)
    assert content(tmp_path / "set") == before
    assert decoded == ["c.mp4"]


def test_new_files_are_added_renamed_ones_known_and_splits_stay(footage, tmp_path, decoded):
    prepare([footage], tmp_path / "set", FEW)
    splits = {line["source_hash"]: line["split"] for line in lines(tmp_path / "set")}
    decoded.clear()
    (footage / "b.mp4").rename(footage / "renamed.mp4")
    (footage / "c.mp4").unlink()
    write_video(tmp_path / "elsewhere.mp4", scene_frames(5, 6))
    prepare([tmp_path / "elsewhere.mp4"], tmp_path / "set", FEW)
    done = prepare([footage], tmp_path / "set", FEW)
    assert decoded == ["elsewhere.mp4"]
    assert {line["file"] for line in lines(tmp_path / "set")} == {"a.mp4", "renamed.mp4", "elsewhere.mp4"}
    assert splits.items() < {line["source_hash"]: line["split"] for line in lines(tmp_path / "set")}.items()
    assert sorted(Path(path).name for path in done.gone) == ["b.mp4", "c.mp4"]


def test_changed_content_replaces_the_scenes_and_frames_of_a_file(footage, tmp_path, decoded):
    prepare([footage], tmp_path / "set", FEW)
    decoded.clear()
    write_video(footage / "b.mp4", scene_frames(4, 9))
    prepare([footage], tmp_path / "set", FEW)
    assert decoded == ["b.mp4", "c.mp4"]
    assert [line["frames"] for line in lines(tmp_path / "set")] == [7, 9]
    assert len(list((tmp_path / "set" / "frames").iterdir())) == 2


def test_damaged_frames_are_decoded_again(footage, tmp_path, decoded):
    prepare([footage / "b.mp4"], tmp_path / "set", FEW)
    before = content(tmp_path / "set")
    os.truncate(tmp_path / "set" / lines(tmp_path / "set")[0]["array"], 1000)
    prepare([footage / "b.mp4"], tmp_path / "set", FEW)
    assert decoded == ["b.mp4", "b.mp4"]
    assert content(tmp_path / "set") == before


def test_an_interrupted_run_goes_on_where_it_stopped(footage, tmp_path, decoded):
    def stop(done, expected):
        if done == 11:  # within the second file
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([footage], tmp_path / "set", FEW, progress=stop)
    assert not (tmp_path / "set" / "manifest.jsonl").exists()
    assert not list((tmp_path / "set").rglob("*.partial"))
    (tmp_path / "set" / "frames" / "left by a kill.partial").touch()
    decoded.clear()
    prepare([footage], tmp_path / "set", FEW)
    assert "a.mp4" not in decoded
    prepare([footage], tmp_path / "whole", FEW)
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_a_file_cut_short_gives_what_can_be_read_and_says_so(tmp_path):
    path = tmp_path / "long.mp4"
    write_video(path, scene_frames(0, 30), movflags="faststart")
    os.truncate(path, path.stat().st_size * 2 // 3)
    [file] = prepare([path], tmp_path / "set", FEW).files
    assert 5 <= file.frames < 30
    assert "cut short" in file.problems[-1]


def test_several_processes_prepare_the_same_as_one(footage, tmp_path):
    prepare([footage], tmp_path / "one", FEW)
    prepare([footage], tmp_path / "two", FEW, workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_what_cannot_become_a_dataset_is_refused_in_one_line(footage, tmp_path):
    def refused(match: str, *places: Path, folder: Path = tmp_path / "set", config: PrepareConfig = FEW) -> None:
        with pytest.raises(UserError, match=match):
            prepare(places or [footage], folder, config)

    refused("no scene of 5 moving frames or more in 1 file; 1 of them cannot be read", footage / "c.mp4")
    refused("does not exist", footage / "none.mp4")
    (tmp_path / "empty").mkdir()
    refused("no videos in", tmp_path / "empty")
    refused("holds files that are no dataset", folder=footage)
    refused("is a file", folder=footage / "a.mp4")
    prepare([footage / "a.mp4"], tmp_path / "set", FEW)
    refused("prepared with short_side 320, now short_side 64", config=PrepareConfig(short_side=64, min_frames=5))
    with open_folder(tmp_path / "set", FEW):
        refused("another process")
    with pytest.raises(UserError, match="written by `vidcm prepare`"):
        build_cache(footage, tmp_path / "set")
    (tmp_path / "set" / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        ClipCache.open(tmp_path / "set")


def test_a_disk_that_fills_up_stops_with_the_way_out_and_keeps_what_is_done(footage, tmp_path, monkeypatch):
    add = ArrayWriter.add

    def full(self, frame):
        if any((tmp_path / "set" / "sources").iterdir()):
            raise OSError(errno.ENOSPC, "No space left on device")
        add(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(ArrayWriter, "add", full)
        with pytest.raises(UserError, match=r"no space left in .*run again"):
            prepare([footage], tmp_path / "set", FEW)
    assert len(list((tmp_path / "set" / "frames").iterdir())) == 1
    assert len(prepare([footage], tmp_path / "set", FEW).files) == 3


def test_more_frames_than_the_disk_holds_are_refused_before_anything_is_decoded(
    footage, tmp_path, monkeypatch, decoded
):
    room = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    with pytest.raises(UserError, match=r"28 frames need up to 0\.0 GiB.*--short-side"):
        prepare([footage], tmp_path / "set", FEW)
    assert decoded == []


def test_captions_follow_the_text_beside_a_video_without_decoding_again(footage, tmp_path, decoded):
    (footage / "b.txt").write_text("two shots")
    prepare([footage], tmp_path / "set", FEW)
    assert [line["caption"] for line in lines(tmp_path / "set")] == ["", "two shots", "two shots"]
    decoded.clear()
    (footage / "b.txt").write_text("two other shots")
    (footage / "a.txt").write_text("one")
    prepare([footage], tmp_path / "set", FEW)
    assert "b.mp4" not in decoded
    assert [clip.caption for clip in ClipCache.open(tmp_path / "set").clips] == ["one", *["two other shots"] * 2]
    prepare([footage / "b.mp4"], tmp_path / "alone", FEW)
    assert ClipCache.open(tmp_path / "alone").captions == ("two other shots",)
