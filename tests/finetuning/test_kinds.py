"""The measure of what tuning gains: what is trained on, judged by and held out are stretches that share no frame."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import kinds
from vidcm.data.clips import ClipCache

from .conftest import panning
from .test_page import write_video


def test_a_scene_is_cut_into_a_half_to_train_on_and_two_quarters_to_judge_by(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", 0)  # 12 frames
    monkeypatch.setattr(kinds, "KINDS", {"pans": {"a.mp4": ((0, 8), (8, 12))}})
    known, last = (ClipCache.open(folder) for folder in kinds.divide(tmp_path, "pans", tmp_path / "out"))
    places = {
        "train": ((known, "train", 0), (0, 4)),
        "val": ((known, "val", 0), (4, 6)),
        "held out": ((last, "val", 0), (6, 8)),
        "of the second scene": ((known, "train", 1), (8, 10)),
    }
    true = panning(0, 12).astype(int)
    for name, ((cache, split, number), (start, stop)) in places.items():
        clip = cache.split(split)[number]
        assert (clip.length, clip.instants[0]) == (stop - start, 0), name
        assert np.abs(cache.frames(clip) - true[start:stop]).mean() < 4, name
    assert sum(clip.length for cache in (known, last) for clip in cache.clips) == 12


def test_a_row_tells_every_set_before_and_after_the_held_out_one_too(config, tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", 0)
    monkeypatch.setattr(kinds, "KINDS", {"pans": {"a.mp4": ((0, 12),)}})
    found = kinds.measure(tmp_path, "pans", tmp_path / "out", replace(config, steps=2, evaluations=1))
    assert list(found["psnr"]) == ["val 2x", "rendered", "held out 2x"]
    before, after = found["psnr"]["val 2x"]
    assert found["gain_db"] == pytest.approx(after - before)
    assert found["gain_db"] > 1, "the tiny model should gain something"
    assert np.diff(found["psnr"]["held out 2x"]) > 1
    cells = kinds.row(found).split("|")[1:-1]
    assert [cell.strip() for cell in cells[:3]] == ["pans", f"{after - before:+.2f}", f"{before:.2f} / {after:.2f}"]
    assert len(cells) == 2 + len(found["psnr"]) + 1
