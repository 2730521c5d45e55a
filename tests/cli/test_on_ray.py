"""`--on ray`: the same command, the same files, made by the workers of a cluster."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vidcm.cli.main import cli

from .interpolating import check_refusal, interpolate, told_with_modules, write_video


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    write_video(folder / "a.mp4", 3)
    write_video(folder / "sub" / "b.mkv", 4)
    return folder


def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcm.cli.options.find_spec", lambda name: None)


def test_one_video_is_refused(footage: Path, tmp_path: Path) -> None:
    asked = [footage / "a.mp4", "-o", tmp_path / "a.mp4", "--factor", "2", "--on", "ray"]
    told, modules = told_with_modules(*asked)
    assert "--on ray is for many jobs: give a folder" in told
    assert not {"torch", "numpy", "ray"} & modules


def test_workers_without_a_cluster_are_refused(footage: Path, tmp_path: Path) -> None:
    run = interpolate(footage, "-o", tmp_path / "out", "--factor", "2", "--workers", "2")
    check_refusal(run, "--workers 2 is for --on ray")


def test_torchrun_and_ray_are_not_both_taken(footage: Path, tmp_path: Path, monkeypatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    run = interpolate(footage, "-o", tmp_path / "out", "--factor", "2", "--on", "ray")
    assert "--on ray starts workers of its own" in run.stderr


def test_without_ray_the_line_says_how_to_get_it(footage: Path, tmp_path: Path, monkeypatch) -> None:
    without_ray(monkeypatch)
    run = interpolate(footage, "-o", tmp_path / "out", "--factor", "2", "--on", "ray")
    assert run.exit_code == 2
    assert run.stderr.count("\n") == 1
    assert 'pip install "vidcm[cluster]"' in run.stderr


def test_a_single_clip_is_refused(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["generate", "-o", str(tmp_path / "a.mp4"), "--prompt", "x", "--on", "ray"])
    assert run.exit_code == 2
    assert "--on ray is for many jobs: give --batch JOBS.jsonl" in run.stderr


def on_two_workers(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidcm", *map(str, words), "--on", "ray", "--workers", "2"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)


@pytest.mark.cluster
def test_a_folder_on_ray_gives_the_same_bytes_as_here(footage: Path, tmp_path: Path, model: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidcm[cluster]'")
    (footage / "broken.avi").write_text("this is no video")
    asked = ["interpolate", "in", "--factor", "2", "--model", model, "--steps", "0", "--suffix", "mkv"]
    run = on_two_workers(*asked, "-o", "out", cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert run.stderr.splitlines()[-1].startswith("failed: broken.avi")
    assert run.stderr.count("\n") == 4
    assert interpolate(footage, "-o", tmp_path / "here", *asked[2:]).exit_code == 2
    for name in ("a.mkv", "sub/b.mkv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.cluster
def test_a_manifest_on_ray(tmp_path: Path, model: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidcm[cluster]'")
    for name, level in (("first", 60), ("last", 200)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((64, 96, 3), level, np.uint8))
    ends = {"image": "first.png", "last_image": "last.png", "num_frames": 3}
    lines = [{**ends, "name": "one"}, {**ends, "name": "two", "seed": 1}, {**ends, "name": "bad", "num_frames": 2}]
    (tmp_path / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = ["generate", "--batch", "jobs.jsonl", "-o", "out", "--model", model, "--json"]
    run = on_two_workers(*asked, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(event["key"] for event in events[:-1]) == ["bad", "one", "two"]
    assert (events[-1]["done"], events[-1]["failed"]) == (2, 1)
    assert (tmp_path / "out" / "two.mp4").is_file()
    again = on_two_workers(*asked, cwd=tmp_path)
    assert [json.loads(line).get("status") for line in again.stdout.splitlines()] == ["kept", "kept", "failed", None]
