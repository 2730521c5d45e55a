"""`vidcm interpolate`: what its options do."""

import json
import os
import re
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.finished import is_finished, note
from vidcm.interpolation.journal import FORMAT, HEAD, folder_of

from .interpolating import check_refusal, interpolate, told_with_modules, write_video


def test_twice_the_frames_from_a_model_directory(source: Path, out: Path, model: Path) -> None:
    report = out.with_name("report.json")
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--report", report)
    assert run.exit_code == 0, run.stderr
    assert run.stdout.startswith(f"{out}: 8 frames from 4 (3 made), 48 fps")
    assert json.loads(report.read_text())["frames_out"] == 8
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8


def test_reports_say_how_sure_each_frame_is(source: Path, out: Path, model: Path) -> None:
    names = [out.with_suffix(suffix) for suffix in (".json", ".html", ".edl")]
    asked = [word for name in names for word in ("--report", name)]
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--steps", "0", *asked)
    assert run.exit_code == 0, run.stderr
    frames = json.loads(names[0].read_text())["frames"]
    assert [frame["score"] is None for frame in frames] == [True, False] * 3 + [True, True]
    assert names[1].read_text().count("<figure>") == 3
    assert names[2].read_text().startswith("TITLE: result")
    assert len(list(out.parent.iterdir())) == 4


def test_doubtful_frames_are_held(source: Path, out: Path, model: Path) -> None:
    report = out.with_suffix(".json")
    asked = ["--min-confidence", "1", "--report", report, "--steps", "0"]
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, *asked)
    assert run.stdout.startswith(f"{out}: 8 frames from 4 (0 made)")
    assert ", 3 below --min-confidence replaced, " in run.stdout
    assert {frame["kind"] for frame in json.loads(report.read_text())["frames"]} == {"source", "hold", "end"}


def test_reports_must_not_share_a_name(source: Path, out: Path) -> None:
    report = out.with_suffix(".json")
    run = interpolate(source, "-o", out, "--factor", "2", "--report", report, "--report", report)
    check_refusal(run, "two reports have the same name", out.parent)


def test_codec_and_quality_are_as_asked_and_told(source: Path, out: Path, model: Path) -> None:
    movie = out.with_suffix(".mov")
    asked = ["--codec", "prores", "--quality", "medium", "--steps", "0"]
    run = interpolate(source, "-o", movie, "--factor", "2", "--model", model, "--json", *asked)
    done = json.loads(run.stdout.splitlines()[-1])
    assert (done["codec"], done["pix_fmt"], done["dropped"]) == ("prores", "yuv422p10le", [])
    with av.open(str(movie)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "apcn"  # ProRes 422


def test_slow_motion_is_told(source: Path, out: Path, model: Path) -> None:
    run = interpolate(source, "-o", out, "--slow-motion", "2.5", "--model", model, "--steps", "0", "--sound", "drop")
    assert run.exit_code == 0, run.stderr
    assert run.stdout.startswith(f"{out}: 10 frames from 4 (6 made), 24 fps, 0.417 s, 2.5 times slower")


def test_slow_motion_at_a_rate_that_is_asked_for(source: Path, out: Path, model: Path) -> None:
    asked = ["--slow-motion", "2", "--fps", "60", "--json", "--steps", "0"]
    done = json.loads(interpolate(source, "-o", out, "--model", model, *asked).stdout.splitlines()[-1])
    assert (done["rate"], done["frames_out"], done["times_slower"]) == ("60", 20, "2")


def test_a_part_is_taken_and_told(source: Path, out: Path, model: Path) -> None:
    asked = ["--range", "0:00:00.05-0.13", "--steps", "0"]
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, *asked)
    assert run.exit_code == 0, run.stderr
    assert run.stdout.startswith(f"{out}: 4 frames from 2 (2 made), 48 fps, 0.083 s")


def test_a_preview_is_the_middle_beside_the_source_held(tmp_path: Path, out: Path, model: Path) -> None:
    source = write_video(tmp_path / "source.mp4", 48)
    asked = ["--preview", "0.5s", "--steps", "0", "--json"]
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, *asked)
    done = json.loads(run.stdout.splitlines()[-1])
    assert (done["start_s"], done["frames_in"], done["width"], done["height"]) == (0.75, 12, 192, 64)


def test_a_long_run_is_foretold_in_one_line(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidcm.cli import outcome
    from vidcm.cli.outcome import foretell
    from vidcm.interpolation.estimate import Estimate
    from vidcm.interpolation.progress import Progress

    monkeypatch.setattr(outcome, "peak_resident", lambda: 1200 * 2**20)
    foretell(out, Progress(), Estimate(754, 4800, 300 * 2**20))
    foretell(out, Progress(), Estimate(90, 100, None))
    foretell(out, Progress(), Estimate(90, 100, 2**80))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == f"{out}: about 12:34 left, 4800 frames in all, about 300 MiB of pictures; about 1200 MiB of memory"
    assert second == f"{out}: about 1:30 left, 100 frames in all; about 1200 MiB of memory"
    assert re.search(r"MiB of pictures, and only \d+ MiB are free; about 1200 MiB of memory$", third)
    monkeypatch.setattr(outcome, "peak_resident", lambda: None)
    foretell(out, Progress(), Estimate(90, 100, 300_000))
    assert capsys.readouterr().err == f"{out}: about 1:30 left, 100 frames in all, about 0.29 MiB of pictures\n"
    foretell(out, Progress(as_json=True), Estimate(754.04, 4800, None))
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["left_s"], told["size"], told["memory"]) == ("estimate", 754.0, None, None)


def test_the_rate_that_is_there_already_is_told(source: Path, out: Path, model: Path) -> None:
    run = interpolate(source, "-o", out, "--fps", "24", "--model", model, "--steps", "0")
    assert run.stderr == f"{source}: has 24 frames a second already, so none was made\n"
    assert run.stdout.startswith(f"{out}: 4 frames from 4 (0 made), 24 fps")
    assert interpolate(source, "-o", out, "--fps", "24", "--repair", "all", "--model", model).stderr == ""


def test_going_on_from_nothing_is_said_and_begins(source: Path, out: Path, model: Path) -> None:
    asked = [source, "-o", out, "--factor", "2", "--model", model, "--steps", "0", "--resume"]
    run = interpolate(*asked)
    assert run.stderr == f"{out}: there is nothing of it to go on with, so it is made from the beginning\n"
    assert run.stdout.startswith(f"{out}: 8 frames from 4 (3 made), ")
    out.unlink()
    told = [json.loads(line) for line in interpolate(*asked, "--json").stdout.splitlines()]
    assert (told[0], told[-1]["event"]) == ({"event": "begin", "target": str(out)}, "done")


def keeps_attributes(folder: Path) -> bool:
    probe = folder / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.vidcm.probe", b"1")
    except (OSError, AttributeError):
        return False
    finally:
        probe.unlink()
    return True


def test_going_on_with_what_is_finished_says_so_and_leaves_it(source: Path, out: Path, model: Path) -> None:
    if not keeps_attributes(out.parent):
        pytest.skip("needs extended attributes of files")
    asked = [source, "-o", out, "--factor", "2", "--model", model, "--steps", "0"]
    interpolate(*asked)
    before = out.stat().st_mtime_ns
    again = interpolate(*asked, "--resume")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == f"{out}: is finished, with these settings; leave --resume out to make it again\n"
    told = interpolate(*asked, "--resume", "--json").stdout
    assert json.loads(told) == {"event": "finished", "target": str(out)}

    other = interpolate(*asked, "--resume", "--seed", "4")
    reason = f"{out} is finished, and --resume cannot go on with it: --seed was 0, now 4; leave --resume out to make it"
    check_refusal(other, reason, code=1)
    report = out.with_name("told.json")
    missing = f"nothing of it is unfinished, and --report {report} was not written with it: leave --resume out"
    check_refusal(interpolate(*asked, "--resume", "--report", report), missing, code=1)
    assert out.stat().st_mtime_ns == before
    assert list(out.parent.iterdir()) == [out]

    out.write_bytes(b"another film")  # into the same file, whose attribute stays
    check_refusal(interpolate(*asked, "--resume"), f"{out} is there, and nothing of it is unfinished", code=1)


def test_a_report_of_something_else_is_not_taken_for_one_of_what_is_finished(tmp_path: Path) -> None:
    if not keeps_attributes(tmp_path):
        pytest.skip("needs extended attributes of files")
    target, ours, other = (tmp_path / name for name in ("out.mp4", "ours.json", "other.json"))
    for file in (target, ours, other):
        file.write_bytes(b"something")
    settings = {"--report": "given"}
    note(target, lambda: settings, [ours])
    assert is_finished(target, lambda: settings, [ours])
    ours.unlink()
    for report in (ours, other):
        with pytest.raises(UserError, match=f"--report {report} was not written with it"):
            is_finished(target, lambda: settings, [report])


def test_what_is_unfinished_is_told_of_before_what_was_finished_earlier(tmp_path: Path) -> None:
    if not keeps_attributes(tmp_path):
        pytest.skip("needs extended attributes of files")
    target = tmp_path / "out.mp4"
    target.write_bytes(b"a film")
    note(target, lambda: {"--seed": "0"})
    assert is_finished(target, lambda: {"--seed": "0"})
    assert is_finished(target, lambda: {"--seed": "0", "--report": "not given"})
    with pytest.raises(UserError, match="--report was unknown, now given"):
        is_finished(target, lambda: {"--seed": "0", "--report": "given"})
    note(target, lambda: {"--seed": "0", "--report": "given"})
    assert is_finished(target, lambda: {"--seed": "0", "--report": "not given"})
    folder_of(target).mkdir()
    (folder_of(target) / HEAD).write_text(json.dumps({"format": FORMAT, "settings": {"--seed": "1"}}))
    assert not is_finished(target, lambda: {"--seed": "1"})
    assert not is_finished(tmp_path / "none.mp4", lambda: {})


def test_a_run_that_is_refused_does_not_say_that_it_begins(source: Path, out: Path, model: Path) -> None:
    asked = [source, "-o", out, "--factor", "2", "--model", model, "--resume", "--memory", "1MiB"]
    check_refusal(interpolate(*asked), "--memory", out.parent)


def test_a_part_behind_the_end_is_refused_before_torch_is_imported(source: Path, out: Path) -> None:
    told, modules = told_with_modules(source, "-o", out, "--factor", "2", "--range", "5-")
    assert "--range 5- begins after the end of" in told
    assert "torch" not in modules
    assert list(out.parent.iterdir()) == []


def test_one_gap_is_made_again_with_another_seed(source: Path, out: Path, model: Path) -> None:
    out = out.with_suffix(".mkv")
    asked = [source, "-o", out, "--factor", "2", "--codec", "ffv1", "--model", model]
    assert interpolate(*asked).exit_code == 0
    before = shown(out)
    run = interpolate(*asked, "--reroll", "0.05s", "--seed", "5", "--temperature", "3")
    assert run.exit_code == 0, run.stderr
    told = re.fullmatch(
        rf"{out}: 1 frame at 0\.062 s made again, (\d+\.\d\d) of 255 grey levels from the take before on average and "
        r"(\d+\.\d) where most; for them 8 frames from 0\.000 s to 0\.166 s were encoded again\n",
        run.stdout,
    )
    assert told
    assert 0 < float(told[1]) < float(told[2])
    assert [one != other for one, other in zip(before, shown(out), strict=True)] == [False] * 3 + [True] + [False] * 4
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["--seed", "0"], "or --seed is the one it was made with; --temperature 15 draws takes further apart"),
    ],
)
def test_a_take_that_hardly_differs_is_told_with_the_way_out(
    asked: list[str], reason: str, source: Path, out: Path, model: Path
) -> None:
    out = out.with_suffix(".mkv")
    how = [source, "-o", out, "--factor", "2", "--codec", "ffv1", "--model", model]
    steps = asked[2:]
    assert interpolate(*how, *steps).exit_code == 0
    run = interpolate(*how, "--reroll", "0.05", *asked)
    assert ", 0.00 of 255 grey levels from the take before on average and 0.0 where most;" in run.stdout
    assert f"{out}: the takes hardly differ: " in run.stderr
    assert run.stderr.endswith(f"{reason}\n")
    done = json.loads(interpolate(*how, "--reroll", "0.05", *asked, "--json").stdout)
    assert done["differs"] == {"mean": 0, "largest": 0}


def test_a_part_is_not_made_again_as_if_it_were_the_whole(source: Path, out: Path, model: Path) -> None:
    """It begins where the whole does, so that its pictures are those of the whole."""
    if not keeps_attributes(out.parent):
        pytest.skip("needs extended attributes of files")
    asked = [source, "-o", out, "--factor", "2", "--model", model]
    assert interpolate(*asked, "--range", "0-0.1").exit_code == 0
    before = out.read_bytes()
    run = interpolate(*asked, "--reroll", "0.05", "--seed", "5")
    told = "was made with --range 0-0.1, --reroll is for outputs made without: make it so first"
    assert (run.exit_code, run.stderr) == (2, f"Error: {out}: {told}\n")
    assert out.read_bytes() == before


def shown(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["--reroll", "1"], "--reroll needs --seed"),
        (["--reroll", "soon", "--seed", "1"], "--reroll must be a time of OUT"),
        (["--reroll", "1", "--seed", "1", "--range", "1-2"], "--reroll does not go with --range"),
        (["--reroll", "1", "--seed", "1"], "which is not there: make it first"),
        (["--reroll", "1", "--seed", "1", "--steps", "0"], "with --steps 0 every seed gives the same, leave it out"),
        (["--reroll", "1", "--seed", "1", "--steps", "1"], "with --steps 1 every seed gives the same, leave it out"),
        (["--reroll", "1", "--seed", "1", "--temperature", "0"], "with --temperature 0 every seed gives the same"),
    ],
)
def test_what_does_not_go_with_another_take_is_wrong_use(
    asked: list[str], reason: str, source: Path, out: Path
) -> None:
    if "make it first" not in reason:
        out.write_bytes(b"there")
    run = interpolate(source, "-o", out, "--factor", "2", *asked)
    assert run.exit_code == 2
    assert reason in run.stderr
    assert run.stderr.count("\n") == 1


def test_interlaced_video_is_refused_before_torch_is_imported_and_can_be_made_whole(
    tmp_path: Path, out: Path, model: Path
) -> None:
    source = tmp_path / "fields.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "interlaced=1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(4):
            picture = np.full((64, 96, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    told, modules = told_with_modules(source, "-o", out, "--factor", "2")
    assert "is interlaced, its pictures show two moments each: give --interlaced deinterlace" in told
    assert "torch" not in modules
    assert list(out.parent.iterdir()) == []
    asked = ["--interlaced", "deinterlace", "--steps", "0", "--model", model]
    run = interpolate(source, "-o", out, "--factor", "2", *asked)
    assert run.exit_code == 0, run.stderr
    assert "made whole (bwdif)" in run.stderr


def test_quality_says_nothing_to_a_lossless_codec(source: Path, out: Path) -> None:
    asked = ["--codec", "ffv1", "--quality", "best"]
    run = interpolate(source, "-o", out.with_suffix(".mkv"), "--factor", "2", *asked)
    check_refusal(run, "ffv1 is lossless: quality best", out.parent)
    assert run.exit_code == 2


def test_json_events_end_with_the_report(source: Path, out: Path, model: Path) -> None:
    run = interpolate(source, "-o", out, "--fps", "60", "--model", model, "--json", "--steps", "1")
    events = [json.loads(line) for line in run.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert (events[-1]["rate"], events[-1]["frames_out"]) == ("60", 10)


def test_a_hard_cut_is_found_and_can_be_ignored(tmp_path: Path, out: Path, model: Path) -> None:
    source = tmp_path / "cut.mp4"
    noise = np.random.default_rng(0)
    shots = [noise.integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(2)]
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "1", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(12):
            picture = np.roll(shots[index // 6], 2 * index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    found = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--json")
    ignored = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--json", "--cuts", "off")
    assert json.loads(found.stdout.splitlines()[-1])["cuts"] == [6]
    assert json.loads(ignored.stdout.splitlines()[-1])["cuts"] == []


def test_cuts_can_be_told(source: Path, out: Path, model: Path) -> None:
    (listed := source.with_suffix(".txt")).write_text("0\n0:00:00.083\n")
    asked = ["--cuts", listed, "--steps", "0", "--json"]
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, *asked)
    assert json.loads(run.stdout.splitlines()[-1])["cuts"] == [2]
    listed.write_text("0.02\nnoon\n")
    out.unlink()
    run = interpolate(source, "-o", out, "--factor", "2", "--cuts", listed)
    check_refusal(run, "line 2: 'noon' is no", out.parent, code=1)
