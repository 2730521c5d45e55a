"""`vidcm interpolate FOLDER -o FOLDER2`."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.two_processes import in_two_processes, succeeded
from vidcm.cli.folder import Teller
from vidcm.core.errors import UserError

from .interpolating import check_refusal, interpolate, told_with_modules, write_video


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two good ones and a broken one."""
    folder = tmp_path / "in"
    (folder / "day 2").mkdir(parents=True)
    write_video(folder / "a.mp4", 3)
    write_video(folder / "day 2" / "b.mov", 3)
    (folder / "c.avi").write_text("this is no video")
    return folder


def test_a_folder_is_made_with_its_tree_and_what_failed_is_told(footage: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    asked = [footage, "-o", out, "--factor", "2", "--suffix", "mkv", "--model", model, "--steps", "0"]
    run = interpolate(*asked)
    assert run.exit_code == 2
    assert run.stdout == f"{out}: 2 of 3 videos, summary.json has each\n"
    lines = run.stderr.splitlines()
    assert lines[0].startswith("[1/3] a.mp4: 6 frames from 3, in 0:0")
    assert lines[1].startswith("[2/3] c.avi: cannot be read as video")
    assert lines[-1].startswith("failed: c.avi: cannot be read as video")
    assert (out / "a.mkv").is_file()
    assert (out / "day 2" / "b.mkv").is_file()

    (footage / "c.avi").unlink()
    again = interpolate(*asked, "--json")
    assert again.exit_code == 0
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event.get("status") for event in events] == ["kept", "kept", None]
    assert {key: events[-1][key] for key in ("event", "videos", "done", "failed")} == {
        "event": "done",
        "videos": 2,
        "done": 2,
        "failed": 0,
    }
    other = interpolate(*asked, "--seed", "1")
    assert "was finished before" not in other.stderr


def test_what_is_refused_waits_for_no_model(footage: Path, tmp_path: Path, model: Path, monkeypatch) -> None:
    asked = [footage, "-o", tmp_path / "out", "--factor", "2", "--suffix", "mkv", "--model", model, "--steps", "0"]
    assert interpolate(*asked).exit_code == 2

    def load(*_: object) -> None:
        raise UserError("the model is read")

    monkeypatch.setattr("vidcm.pipelines.Inbetweener.load", load)
    again = interpolate(*asked)
    assert (again.exit_code, again.stdout.split(": ")[1]) == (2, "2 of 3 videos, summary.json has each\n")
    (tmp_path / "out" / "a.mkv").unlink()
    ended = interpolate(*asked)  # now it is, and ends the run
    assert (ended.exit_code, ended.stderr) == (1, "Error: the model is read\n")


def test_what_the_input_s_own_container_cannot_be_fails_alone(footage: Path, tmp_path: Path, model: Path) -> None:
    run = interpolate(footage, "-o", tmp_path / "out", "--factor", "2", "--model", model, "--steps", "0")
    assert run.exit_code == 2
    assert "failed: c.avi: " in run.stderr
    assert (tmp_path / "out" / "day 2" / "b.mov").is_file()


BAD = {
    "a file as output": ("out.mp4", [], "is a folder, so -o must name a folder too"),
    "inside the input": ("in/out", [], "is inside the input folder"),
    "the input itself": ("in", [], "is the input folder itself"),
    "unknown suffix": ("out", ["--suffix", "gif"], "--suffix must be one of .mp4"),
    "a report": ("out", ["--report", "r.json"], "--report r.json is for one video"),
    "a preview": ("out", ["--preview", "5s"], "--preview is for one video"),
    "a list of cuts": ("out", ["--cuts", "edit.edl"], "--cuts edit.edl is for one video"),
    "codec of no target": ("out", ["--suffix", "mp4", "--codec", "prores"], "mp4 files do not hold prores"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_folder_is_refused_in_one_line_before_anything_is_made(kind: str, footage: Path, tmp_path: Path) -> None:
    name, options, reason = BAD[kind]
    before = sorted(tmp_path.rglob("*"))
    told, modules = told_with_modules(footage, "-o", tmp_path / name, "--factor", "2", *options)
    assert told.startswith("Error: ")
    assert told.count("\n") == 1
    assert reason in told
    assert not {"torch", "numpy", "av", "cv2", "diffusers"} & modules
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = interpolate(tmp_path / "in", "-o", tmp_path / "out", "--factor", "2")
    check_refusal(run, "holds no video", code=1)


def test_a_suffix_for_one_video_is_refused(footage: Path, tmp_path: Path) -> None:
    run = interpolate(footage / "a.mp4", "-o", tmp_path / "a.mp4", "--factor", "2", "--suffix", "mkv")
    check_refusal(run, "--suffix mkv is for a folder")


def test_two_processes_split_a_folder(footage: Path, tmp_path: Path, model: Path) -> None:
    (footage / "c.avi").unlink()
    asked = [footage, "-o", tmp_path / "out", "--factor", "2", "--model", model, "--steps", "0"]
    first, second = ended = in_two_processes(["-m", "vidcm", "interpolate", *asked])
    succeeded(ended)
    assert first.stdout == f"{tmp_path / 'out'}: 2 of 2 videos, summary.json has each\n"
    assert second.stdout == ""
    assert "[1/1] a.mp4: 6 frames from 3" in first.stderr
    assert "[1/1] day 2/b.mov: 6 frames from 3" in second.stderr


def test_no_time_is_told_before_a_video_has_been_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failures and what was there before say nothing of the pace."""
    names = ("a", "b", "c", "d")
    tell = Teller(True, dict.fromkeys(names, 1000))
    tell.started -= 10
    for number, (name, status) in enumerate(zip(names, ("failed", "kept", "done", "failed"), strict=True), 1):
        record = SimpleNamespace(name=name, status=status, file=name, error=None, remark=None, report={})
        tell(record, SimpleNamespace(name=name), number, 4)
    told = [json.loads(line)["left_s"] for line in capsys.readouterr().out.splitlines()]
    assert told == [None, None, pytest.approx(10, abs=0.5), 0]
