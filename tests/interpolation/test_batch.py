"""A folder of videos into another: what is made, kept, refused, failed, and split among processes."""

import json
import os
from pathlib import Path

import pytest

from vidcm.core.errors import UserError
from vidcm.core.processes import Processes
from vidcm.interpolation.batch import JOURNAL, Folder
from vidcm.interpolation.tree import check_codecs, check_folders, parse_suffix, videos_below
from vidcm.work.batch import CHANGED, SUMMARY, make_all

NAMES = ["a.mp4", "b/c.mov", "b/d.mkv", "z.webm"]


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    for name in [*NAMES, "b/notes.txt", ".trash/old.mp4", "b/._c.mov"]:
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "in"


class Make:
    """Copies, and notes what it made; a source that says "bad" fails."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, source: Path, target: Path) -> dict:
        self.made.append(source.name)
        if "bad" in source.read_text():
            raise UserError(f"{source} is bad")
        target.write_text("made of " + source.read_text())
        return {"frames_out": 2}


def run(
    footage: Path, settings: dict | None = None, suffix: str | None = None, load=lambda: None, **how
) -> tuple[list[str], list]:
    """Sources that were made, and the records."""
    out, make = footage.parent / "out", Make()
    batch = Folder(out, lambda: load() or make, settings or {"factor": "2"})
    return make.made, make_all(batch, videos_below(footage, out, suffix), **how)


def statuses(records: list) -> list[str]:
    return [record.status for record in records]


def test_names_and_tree_are_kept_and_hidden_files_left_out(footage):
    made, records = run(footage)
    out = footage.parent / "out"
    assert made == ["a.mp4", "c.mov", "d.mkv", "z.webm"]
    assert [record.name for record in records] == NAMES
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith(JOURNAL)} == {*NAMES, SUMMARY}
    assert (out / "b/c.mov").read_text() == "made of b/c.mov"
    told = json.loads((out / SUMMARY).read_text())
    assert (told["videos"], told["done"], told["failed"]) == (4, 4, 0)


def test_a_rerun_makes_what_has_changed_and_nothing_else(footage):
    run(footage)
    assert run(footage)[0] == []
    (footage / "b/c.mov").write_text("another cut")
    os.utime(footage / "a.mp4", (1, 1))  # touched, with the same content
    assert run(footage)[0] == ["c.mov"]
    (footage.parent / "out/z.webm").unlink()
    (footage.parent / "out/b/d.mkv").unlink()
    assert run(footage)[0] == ["d.mkv", "z.webm"]


def test_an_output_that_somebody_changed_is_kept_and_told(footage):
    run(footage)
    graded = footage.parent / "out/b/d.mkv"
    graded.write_text("graded by hand")
    told: list = []
    made, records = run(footage, tell=lambda record, *_: told.append((record.status, record.remark)))
    assert (made, statuses(records)) == ([], ["done"] * 4)
    assert told == [("kept", None), ("kept", None), ("kept", CHANGED), ("kept", None)]
    for _ in range(2):  # with other settings there is no way but to fail, each time
        made, records = run(footage, {"factor": "4"})
        assert "d.mkv" not in made
        assert (records[2].status, records[2].error) == ("failed", f"{graded} {CHANGED}")
        assert graded.read_text() == "graded by hand"
    graded.unlink()
    assert run(footage, {"factor": "4"})[0] == ["d.mkv"]


def test_an_output_that_was_changed_after_a_failure_is_kept_too(footage):
    run(footage)
    (footage / "b/c.mov").write_text("bad")
    assert statuses(run(footage)[1])[1] == "failed"
    (footage.parent / "out/b/c.mov").write_text("graded by hand")
    (footage / "b/c.mov").write_text("good again")
    assert statuses(run(footage)[1])[1] == "failed"
    assert (footage.parent / "out/b/c.mov").read_text() == "graded by hand"


def test_other_settings_make_all_of_it_again(footage):
    run(footage)
    assert run(footage, {"factor": "4"})[0] == ["a.mp4", "c.mov", "d.mkv", "z.webm"]
    assert run(footage, {"factor": "4"})[0] == []


def test_a_failure_is_recorded_and_tried_again_and_stops_no_other(footage):
    (footage / "b/c.mov").write_text("bad")
    made, records = run(footage)
    assert len(made) == 4
    assert statuses(records) == ["done", "failed", "done", "done"]
    assert records[1].error == f"{footage / 'b/c.mov'} is bad"
    (footage / "b/c.mov").write_text("good again")
    made, records = run(footage)
    assert made == ["c.mov"]
    assert statuses(records) == ["done"] * 4


def test_records_of_what_is_gone_go_and_those_of_files_that_are_there_stay(footage):
    (footage / "b/c.mov").write_text("bad")
    run(footage)
    journal = footage.parent / "out" / JOURNAL
    for name in ("b/c.mov", "b/d.mkv"):
        (footage / name).unlink()
    run(footage)
    assert [path.name for path in sorted(journal.rglob("*.json"))] == ["a.mp4.json", "d.mkv.json", "z.webm.json"]
    (footage.parent / "out/b/d.mkv").unlink()
    run(footage)
    assert sorted(path.name for path in journal.rglob("*")) == ["a.mp4.json", "z.webm.json"]


def test_what_nobody_foresaw_stops_no_other_either(footage):
    def make(source: Path, target: Path) -> dict:
        raise ZeroDivisionError("by\nzero")

    out = footage.parent / "out"
    records = make_all(Folder(out, lambda: make, {}), videos_below(footage, out))
    assert [record.error for record in records] == ["unexpected ZeroDivisionError: by zero"] * 4


def test_a_file_that_no_run_made_is_never_written_over(footage):
    mine = footage.parent / "out" / "a.mp4"
    mine.parent.mkdir()
    mine.write_text("my own")
    for _ in range(2):  # being told of once does not make it ours
        made, records = run(footage)
        assert "a.mp4" not in made
        assert "is there already" in records[0].error
        assert mine.read_text() == "my own"


def test_an_interrupted_video_is_made_again(footage):
    def interrupted(source: Path, target: Path) -> dict:
        target.write_text("whole, but nobody noted it")
        raise KeyboardInterrupt

    out = footage.parent / "out"
    with pytest.raises(KeyboardInterrupt):
        make_all(Folder(out, lambda: interrupted, {"factor": "2"}), videos_below(footage, out))
    assert run(footage)[0] == ["a.mp4", "c.mov", "d.mkv", "z.webm"]
    assert (out / "a.mp4").read_text() == "made of a.mp4"


def test_the_model_is_loaded_once_and_not_for_what_is_finished(footage):
    loads: list[int] = []
    run(footage, load=lambda: loads.append(1))
    run(footage, load=lambda: loads.append(1))
    assert loads == [1]


def test_a_model_that_cannot_be_loaded_ends_the_run(footage):
    def load() -> None:
        raise UserError("no such model")

    with pytest.raises(UserError, match="no such model"):
        run(footage, load=load)


class Two(Processes):
    """One of two that need not wait for the other."""

    def wait(self) -> None:
        pass


def test_processes_share_the_videos_and_the_first_sums_up(footage):
    summary = footage.parent / "out" / SUMMARY
    assert run(footage, processes=Two(1, 2))[0] == ["c.mov", "z.webm"]
    assert not summary.exists()
    made, records = run(footage, processes=Two(0, 2))
    assert made == ["a.mp4", "d.mkv"]
    assert statuses(records) == ["done"] * 4
    assert json.loads(summary.read_text())["done"] == 4


def test_a_suffix_goes_for_all_and_is_a_file_of_its_own(footage):
    run(footage)
    made, records = run(footage, suffix=".mkv")
    assert made == ["a.mp4", "c.mov", "z.webm"]  # d.mkv is the same file with it and without
    assert [record.file for record in records] == ["a.mkv", "b/c.mkv", "b/d.mkv", "z.mkv"]


def test_two_that_would_become_one_are_refused(footage):
    (footage / "A.mov").write_text("")
    with pytest.raises(UserError, match=r"A\.mov and a\.mp4 would both become .*, or leave --suffix out"):
        videos_below(footage, footage.parent / "out", ".mp4")
    assert len(videos_below(footage, footage.parent / "out")) == 5


def test_a_folder_without_a_video_is_refused(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(UserError, match="holds no video"):
        videos_below(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("in", "is the input folder itself"),
        ("in/b/../", "is the input folder itself"),
        ("in/out", "is inside the input folder"),
        (".", "choose a folder that does not hold it"),
        ("out.mp4", "is a folder, so -o must name a folder too"),
        ("in/b/notes.txt", "is a folder, so -o must name a folder too"),
        ("absent/out", "does not exist"),
    ],
)
def test_folders_that_cannot_be_are_refused(target, reason, footage):
    with pytest.raises(UserError, match=reason):
        check_folders(footage, footage.parent / target)


def test_a_folder_of_pictures_into_a_video_asks_for_their_rate(tmp_path):
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "f_0001.png").touch()
    with pytest.raises(UserError, match=r"name a folder too, got .*out\.mp4: .*; of numbered .* with --input-fps"):
        check_folders(tmp_path / "shots", tmp_path / "out.mp4")


def test_a_link_to_the_input_is_the_input(footage):
    (footage.parent / "link").symlink_to(footage)
    with pytest.raises(UserError, match="is the input folder itself"):
        check_folders(footage, footage.parent / "link")


def test_suffixes_are_those_that_are_written():
    assert [parse_suffix(text) for text in ("mp4", ".MKV")] == [".mp4", ".mkv"]
    with pytest.raises(UserError, match=r"--suffix must be one of \.mp4, .*, got 'avi'"):
        parse_suffix("avi")


def test_a_codec_must_fit_at_least_one(footage):
    videos = videos_below(footage, footage.parent / "out")
    check_codecs(videos, "ffv1", None)  # d.mkv takes it
    with pytest.raises(UserError, match=r"do not hold ffv1 .*; --suffix names another"):
        check_codecs(videos[:2], "ffv1", None)
