"""`vidcm interpolate`: what it does with good input, and with every kind of bad input."""

import hashlib
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from vidcm.cli.main import cli

WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_video(path: Path, count: int, *, size: tuple[int, int] = (96, 64), **options: dict[str, str]) -> Path:
    """A grey square that crosses a gradient, 24 fps."""
    width, height = size
    ground = np.linspace(30, 200, width).astype(np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "1", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            picture = ground.copy()
            picture[20:44, 4 + 2 * index % 60 :][:, :20] = 128
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        for index in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * index, Fraction(1, 48000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_short(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with random weights, as small as the classes allow."""
    from vidcm.families.motion import MotionFamily

    folder = tmp_path_factory.mktemp("models") / "random"
    small = {"vae": {"widths": (8, 8, 16, 16), "condition_channels": 16, "local_channels": 8, "latent_channels": 6}}
    MotionFamily.create({**small, "dit": {"dim": 48, "depth": 1, "heads": 2}}).save(folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return write_video(tmp_path / "in" / "clip.mp4", 4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A path in an empty folder, which must be empty again after a failure."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "result.mp4"


def interpolate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["interpolate", *map(str, arguments)])


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


def test_a_long_run_is_foretold_in_one_line(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vidcm.cli.outcome import foretell
    from vidcm.interpolation.estimate import Estimate
    from vidcm.interpolation.progress import Progress

    foretell(out, Progress(), Estimate(754, 4800, 300 * 2**20))
    foretell(out, Progress(), Estimate(90, 100, None))
    foretell(out, Progress(), Estimate(90, 100, 2**80))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == f"{out}: about 12:34 for 4800 frames, about 300 MiB of pictures"
    assert second == f"{out}: about 1:30 for 100 frames"
    assert re.search(r"MiB of pictures, and only \d+ MiB are free$", third)
    foretell(out, Progress(as_json=True), Estimate(754.04, 4800, None))
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["left_s"], told["size"]) == ("estimate", 754.0, None)


def test_a_part_behind_the_end_is_refused_before_torch_is_imported(source: Path, out: Path) -> None:
    told, modules = told_with_modules(source, "-o", out, "--factor", "2", "--range", "5-")
    assert "--range 5- begins behind the end of" in told
    assert "torch" not in modules
    assert list(out.parent.iterdir()) == []


def test_one_gap_is_made_again_with_another_seed(source: Path, out: Path, model: Path) -> None:
    out = out.with_suffix(".mkv")
    asked = [source, "-o", out, "--factor", "2", "--codec", "ffv1", "--model", model]
    assert interpolate(*asked).exit_code == 0
    before = shown(out)
    run = interpolate(*asked, "--reroll", "0.05s", "--seed", "5", "--temperature", "3")
    assert run.exit_code == 0, run.stderr
    expected = "1 frame at 0.062 s made again; for them 8 frames from 0.000 s to 0.166 s were encoded again"
    assert run.stdout == f"{out}: {expected}\n"
    assert [one != other for one, other in zip(before, shown(out), strict=True)] == [False] * 3 + [True] + [False] * 4
    assert list(out.parent.iterdir()) == [out]


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
    check_refusal(interpolate(source, "-o", out, "--factor", "2", "--cuts", listed), "line 2: 'noon' is no", out.parent)


# Bad input: one line on stderr, a non-zero exit, nothing at the output, the input as it was


def make_folder(path: Path) -> None:
    path.mkdir()


BAD_SOURCES = {
    "missing": (lambda path: None, "does not exist"),
    "directory": (make_folder, "folder"),
    "empty": (lambda path: path.touch(), "empty"),
    "text": (lambda path: path.write_text("this is no video\n" * 200), "video"),
    "random bytes": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)), "video"),
    "sound only": (lambda path: write_sound(path), "no video"),
    "without its index": (lambda path: cut_short(write_video(path, 30), 0.8), "is cut short"),
    "cut short": (
        lambda path: cut_short(write_video(path, 60, container_options={"movflags": "+faststart"}), 0.6),
        "cut short",
    ),
    "one frame": (lambda path: write_video(path, 1), "single frame"),
}


def fingerprint(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def check_refusal(run: Result, reason: str, folder: Path | None = None) -> None:
    assert run.exit_code in (1, 2)
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith("Error: ")
    assert reason in run.stderr
    if folder is not None:
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_is_refused_in_one_line(kind: str, tmp_path: Path, out: Path, model: Path) -> None:
    make, reason = BAD_SOURCES[kind]
    source = tmp_path / "source.mp4"
    make(source)
    before = fingerprint(source)
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model)
    check_refusal(run, reason, out.parent)
    assert str(source) in run.stderr
    assert fingerprint(source) == before


BAD_OPTIONS = {
    "factor below 2": (["--factor", "1"], "--factor must be between 2 and"),
    "factor zero": (["--factor", "0"], "--factor must be between 2 and"),
    "factor negative": (["--factor", "-3"], "--factor must be between 2 and"),
    "factor no number": (["--factor", "nan"], "--factor must be a number"),
    "factor a word": (["--factor", "double"], "--factor must be a number"),
    "rate zero": (["--fps", "0"], "--fps must be above 0"),
    "rate negative": (["--fps", "-24"], "--fps must be above 0"),
    "rate no number": (["--fps", "nan"], "--fps must be a number"),
    "rate without denominator": (["--fps", "24/0"], "--fps must be a number"),
    "factor and rate": (["--factor", "2", "--fps", "60"], "--factor 2 and --fps 60 both say"),
    "neither factor nor rate": ([], "say how many frames: --factor"),
    "slow motion of 1": (["--slow-motion", "1"], "--slow-motion must be above 1 and at most 64, got 1"),
    "slow motion no number": (["--slow-motion", "half"], "--slow-motion must be a number such as 2 or 2.5"),
    "slow motion and factor": (["--slow-motion", "2", "--factor", "2"], "--factor 2 and --slow-motion 2 both say"),
    "slow motion at no rate": (["--slow-motion", "2", "--fps", "0"], "--fps must be above 0"),
    "sound without slow motion": (["--factor", "2", "--sound", "drop"], "--sound drop says what slow motion does"),
    "unknown sound": (["--slow-motion", "2", "--sound", "mute"], "'mute' is not one of 'stretch', 'drop'"),
    "temperature negative": (["--factor", "2", "--temperature", "-1"], "must be a number of at least 0, got -1"),
    "temperature no number": (["--factor", "2", "--temperature", "nan"], "must be a number of at least 0, got nan"),
    "temperature a word": (["--factor", "2", "--temperature", "hot"], "must be a number of at least 0, got hot"),
    "unknown cuts": (["--factor", "2", "--cuts", "maybe"], "--cuts maybe: give auto, off or a file"),
    "unknown device": (["--factor", "2", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'"),
    "too many steps": (["--factor", "2", "--steps", "101"], "101 is not in the range 0<=x<=100"),
    "unknown codec": (["--factor", "2", "--codec", "divx"], "'divx' is not one of 'h264', 'hevc', 'av1'"),
    "codec and container": (["--factor", "2", "--codec", "prores"], "mp4 files do not hold prores (use h264, hevc"),
    "unknown quality": (["--factor", "2", "--quality", "17"], "'17' is not one of 'low', 'medium', 'high', 'best'"),
    "range reversed": (["--factor", "2", "--range", "9-3"], "--range 9-3 ends where it begins or before"),
    "range of words": (["--factor", "2", "--range", "start-end"], "--range must be two times, such as"),
    "preview of a word": (["--factor", "2", "--preview", "short"], "--preview must be a time above 0, such as 5s"),
    "preview of nothing": (["--factor", "2", "--preview", "0s"], "--preview must be a time above 0, such as 5s"),
    "confidence above 1": (["--factor", "2", "--min-confidence", "1.5"], "must be between 0 and 1, got 1.5"),
    "confidence no number": (["--factor", "2", "--min-confidence", "nan"], "must be between 0 and 1, got nan"),
    "fallback alone": (["--factor", "2", "--fallback", "hold"], "--fallback hold says what is shown below"),
    "unknown fallback": (["--factor", "2", "--fallback", "blur"], "'blur' is not one of 'hold', 'crossfade'"),
    "unknown interlaced": (["--factor", "2", "--interlaced", "yes"], "'yes' is not one of 'refuse', 'deinterlace'"),
    "unknown option": (["--factor", "2", "--bogus"], "'--bogus'"),
    "no value": (["--factor"], "'--factor' requires an argument"),
}


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_a_bad_option_is_refused_in_one_line(kind: str, source: Path, out: Path) -> None:
    options, reason = BAD_OPTIONS[kind]
    run = interpolate(source, "-o", out, *options)
    check_refusal(run, reason, out.parent)
    assert run.exit_code == 2


def test_without_its_output_it_is_wrong_use_in_one_line(source: Path) -> None:
    run = interpolate(source, "--factor", "2")
    check_refusal(run, "'-o' / '--output'")
    assert run.exit_code == 2


def test_a_device_that_is_not_here_is_wrong_use(source: Path, out: Path, model: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--device", "cuda")
    check_refusal(run, "device cuda: none here", out.parent)
    assert run.exit_code == 2


def test_the_output_folder_must_exist(source: Path, out: Path) -> None:
    run = interpolate(source, "-o", out.parent / "absent" / "a.mp4", "--factor", "2")
    check_refusal(run, "does not exist", out.parent)


def test_the_output_must_not_be_a_folder(source: Path, out: Path) -> None:
    check_refusal(interpolate(source, "-o", out.parent, "--factor", "2"), "is a folder", out.parent)


def test_the_output_extension_must_be_one_we_write(source: Path, out: Path, model: Path) -> None:
    run = interpolate(source, "-o", out.with_suffix(".gif"), "--factor", "2", "--model", model)
    check_refusal(run, ".mp4", out.parent)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions stop")
def test_a_read_only_folder_is_refused(source: Path, out: Path) -> None:
    out.parent.chmod(0o555)
    try:
        check_refusal(interpolate(source, "-o", out, "--factor", "2"), "cannot be written", out.parent)
    finally:
        out.parent.chmod(0o755)


def test_a_folder_that_turns_out_read_only_is_refused(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK | os.X_OK and allowed(path, mode))
    check_refusal(interpolate(source, "-o", out, "--factor", "2"), "cannot be written", out.parent)


@pytest.mark.parametrize("alias", ["itself", "other spelling", "hard link", "symbolic link"])
def test_the_input_is_never_overwritten(alias: str, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "alias.mp4"
    if alias == "itself":
        target = source
    elif alias == "other spelling":
        target = source.parent / ".." / source.parent.name / source.name
    elif alias == "hard link":
        os.link(source, target)
    else:
        target.symlink_to(source)
    before = fingerprint(source)
    check_refusal(interpolate(source, "-o", target, "--factor", "2"), "the input itself")
    assert fingerprint(source) == before
    run = interpolate(source, "-o", tmp_path / "new.mp4", "--factor", "2", "--report", target)
    check_refusal(run, "the report")
    assert fingerprint(source) == before


def edit_weights(part: Path, edit) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {name: tensor.clone() for name, tensor in load_file(part / WEIGHTS).items()}
    edit(tensors)
    save_file(tensors, part / WEIGHTS)


def to_nan(part: Path) -> None:
    edit_weights(part, lambda tensors: next(t for t in tensors.values() if t.is_floating_point()).fill_(float("nan")))


def drop_one(part: Path) -> None:
    edit_weights(part, lambda tensors: tensors.popitem())


def pickle_instead(part: Path) -> None:
    (part / WEIGHTS).unlink()
    (part / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weight": [0.0]}))


BAD_MODELS = {
    "without index": (lambda folder: (folder / "model_index.json").unlink(), "model_index.json"),
    "without a part": (lambda folder: shutil.rmtree(folder / "transformer"), "transformer"),
    "without weights": (lambda folder: (folder / "vae" / WEIGHTS).unlink(), WEIGHTS),
    "without config": (lambda folder: (folder / "vae" / "config.json").unlink(), "config.json"),
    "broken config": (lambda folder: (folder / "vae" / "config.json").write_text("{"), "config.json"),
    "broken scheduler": (lambda folder: (folder / "scheduler" / "scheduler_config.json").write_text("{"), "scheduler"),
    "weights cut short": (lambda folder: cut_short(folder / "vae" / WEIGHTS, 0.5), WEIGHTS),
    "weights of noise": (lambda folder: (folder / "vae" / WEIGHTS).write_bytes(b"\x93" * 4000), WEIGHTS),
    "a tensor missing": (lambda folder: drop_one(folder / "transformer"), WEIGHTS),
    "weights not numbers": (lambda folder: to_nan(folder / "transformer"), "NaN"),
    "pickled": (lambda folder: pickle_instead(folder / "vae"), "pickle"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_bad_model_is_refused_in_one_line(kind: str, source: Path, out: Path, model: Path, tmp_path: Path) -> None:
    harm, reason = BAD_MODELS[kind]
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    harm(folder)
    run = interpolate(source, "-o", out, "--factor", "2", "--model", folder)
    check_refusal(run, reason, out.parent)
    assert str(folder) in run.stderr


@pytest.mark.parametrize(("name", "reason"), [("absent", "does not exist"), ("model.ckpt", "is a file")])
def test_a_model_that_is_no_folder_is_refused(name: str, reason: str, source: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(pickle.dumps({"weight": [0.0]}))
    run = interpolate(source, "-o", out, "--factor", "2", "--model", tmp_path / name)
    check_refusal(run, reason, out.parent)


# As a process of its own --------------------------------------------------------------------------------------------


@pytest.fixture
def running(source: Path, out: Path, model: Path) -> Iterator[subprocess.Popen[str]]:
    """A long interpolation that has begun to write."""
    write_video(source, 400)
    # A test run that was itself put in the background has SIGINT ignored, and hands that down: put it back.
    code = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from vidcm.cli.main import main; main()"
    command = [sys.executable, "-c", code, "interpolate", source, "-o", out]
    process = subprocess.Popen(
        [*map(str, command), "--factor", "8", "--model", str(model)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300  # a busy machine takes its time to import torch
    while not any(out.parent.iterdir()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_leaves_nothing(running: subprocess.Popen[str], out: Path, signal_name: str) -> None:
    import signal

    assert any(out.parent.iterdir())
    running.send_signal(getattr(signal, signal_name))
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == 130
    assert stderr.splitlines()[-1:] == ["Interrupted."]
    assert list(out.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_run_that_has_come_some_way_says_so_and_goes_on(source: Path, out: Path, model: Path) -> None:
    import signal

    write_video(source, 61)
    asked = [source, "--factor", "8", "--steps", "0", "--model", model, "--cuts", "off"]
    code = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from vidcm.cli.main import main; main()"
    command = [sys.executable, "-c", code, "interpolate", *asked, "-o", out]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (parts := [*out.parent.glob(".*/000000.json")]) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert parts
    assert process.returncode == 130
    expected = f"Interrupted. ({out}: what is whole of it is kept, the same command with --resume goes on there)"
    assert stderr.splitlines()[-1:] == [expected]
    refused = interpolate(*asked, "-o", out, "--resume", "--seed", "3")
    assert f"{out}: --resume cannot go on, the interrupted run was another one: --seed was 0, now 3" in refused.stderr
    assert refused.stderr.count("\n") == 1
    run = interpolate(*asked, "-o", out, "--resume")
    assert run.stdout.startswith(f"{out}: 488 frames from 61 (420 made), 240 of them there before"), run.stderr
    assert list(out.parent.iterdir()) == [out]
    whole = out.with_name("whole.mp4")
    interpolate(*asked, "-o", whole)
    assert whole.read_bytes() == out.read_bytes()


def test_two_processes_share_a_file(source: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidcm.interpolation import segments

    write_video(source, 20)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asked = [source, "--factor", "2", "--model", model, "--steps", "0"]
    short = "from vidcm.interpolation import segments; segments.FRAMES = segments.LEAST_FRAMES = 8; "
    command = [
        sys.executable,
        "-c",
        f"{short}from vidcm.cli.main import main; main()",
        "interpolate",
        "-o",
        out,
        *asked,
    ]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(list(map(str, command)), env={**shared, "RANK": str(rank)}, **pipes) for rank in range(2)
    ]
    told = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    assert told[0][0].startswith(f"{out}: 40 frames from 20 (19 made), 48 fps")
    assert told[1][0] == ""
    assert list(out.parent.iterdir()) == [out]
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)
    alone = out.with_name("alone.mp4")
    interpolate(*asked, "-o", alone)
    assert alone.read_bytes() == out.read_bytes()


def test_a_process_says_one_line_and_no_library_says_more(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "source.mp4"
    cut_short(write_video(source, 60, container_options={"movflags": "+faststart"}), 0.6)
    command = [sys.executable, "-m", "vidcm.cli.main", "interpolate", source, "-o", out, "--factor", "2"]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("Error: ")


def told_with_modules(*arguments: str | Path) -> tuple[str, set[str]]:
    """(stderr, imported modules) of `vidcm interpolate` in a process of its own."""
    code = "import sys; from vidcm.cli.main import cli\ntry: cli(sys.argv[1:])\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", code, "interpolate", *arguments]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    return run.stderr, set(run.stdout.split())


def test_bad_options_are_told_without_heavy_imports(source: Path, out: Path) -> None:
    told, modules = told_with_modules(source, "-o", out, "--factor", "1")
    assert "--factor must be" in told
    assert not {"torch", "numpy", "av", "cv2", "diffusers"} & modules


@pytest.mark.parametrize("kind", ["text", "sound only", "cut short", "one frame"])
def test_a_bad_source_is_told_without_waiting_for_torch(kind: str, tmp_path: Path, out: Path) -> None:
    make, reason = BAD_SOURCES[kind]
    make(tmp_path / "source.mp4")
    told, modules = told_with_modules(tmp_path / "source.mp4", "-o", out, "--factor", "2")
    assert reason in told
    assert "av" in modules
    assert not {"torch", "diffusers"} & modules


def test_a_report_never_replaces_another_kind_of_file(source: Path, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "holiday.mkv"
    other.write_bytes(b"precious")
    check_refusal(interpolate(source, "-o", out, "--factor", "2", "--report", other), "must end in .json")
    assert other.read_bytes() == b"precious"
    assert not out.exists()
