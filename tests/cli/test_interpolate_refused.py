"""`vidcm interpolate` with bad input: one line on stderr, an exit code, nothing at the output, the input as it was."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from .interpolating import (
    check_refusal,
    cut_short,
    interpolate,
    told_with_modules,
    write_sound,
    write_video,
)


def make_folder(path: Path) -> None:
    path.mkdir()


BAD_SOURCES = {
    "missing": (lambda path: None, "does not exist", 2),
    "directory": (make_folder, "folder", 2),
    "empty": (lambda path: path.touch(), "empty", 1),
    "text": (lambda path: path.write_text("this is no video\n" * 200), "video", 1),
    "random bytes": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)), "video", 1),
    "sound only": (lambda path: write_sound(path), "no video", 1),
    "without its index": (lambda path: cut_short(write_video(path, 30), 0.8), "is cut short", 1),
    "cut short": (
        lambda path: cut_short(write_video(path, 60, container_options={"movflags": "+faststart"}), 0.6),
        "cut short",
        1,
    ),
    "one frame": (lambda path: write_video(path, 1), "single frame", 1),
}


def fingerprint(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_a_bad_source_is_refused_in_one_line(kind: str, tmp_path: Path, out: Path, model: Path) -> None:
    make, reason, code = BAD_SOURCES[kind]
    source = tmp_path / "source.mp4"
    make(source)
    before = fingerprint(source)
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model)
    check_refusal(run, reason, out.parent, code)
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
    "codec and container": (
        ["--factor", "2", "--codec", "prores"],
        "mp4 files do not hold prores (use h264, hevc, av1, vp9; prores goes into .mov, .mkv)",
    ),
    "unknown quality": (["--factor", "2", "--quality", "17"], "'17' is not one of 'low', 'medium', 'high', 'best'"),
    "range reversed": (["--factor", "2", "--range", "9-3"], "--range 9-3 ends where it begins or before"),
    "range of words": (["--factor", "2", "--range", "start-end"], "--range must be two times, such as"),
    "preview of a word": (["--factor", "2", "--preview", "short"], "--preview must be a time above 0, such as 5s"),
    "preview of nothing": (["--factor", "2", "--preview", "0s"], "--preview must be a time above 0, such as 5s"),
    "confidence above 1": (["--factor", "2", "--min-confidence", "1.5"], "must be between 0 and 1, got 1.5"),
    "confidence no number": (["--factor", "2", "--min-confidence", "nan"], "must be between 0 and 1, got nan"),
    "fallback alone": (["--factor", "2", "--fallback", "hold"], "--fallback hold says what is shown below"),
    "unknown fallback": (["--factor", "2", "--fallback", "blur"], "'blur' is not one of 'hold', 'crossfade'"),
    "memory without a unit": (
        ["--factor", "2", "--memory", "2"],
        "--memory must be a size such as 2GiB or 800MiB, got",
    ),
    "too little memory": (
        ["--factor", "2", "--memory", "50MiB", "--device", "cpu"],
        "--memory 50MiB is too little for 96x64 in h264: give at least",
    ),
    "unknown interlaced": (["--factor", "2", "--interlaced", "yes"], "'yes' is not one of 'refuse', 'deinterlace'"),
    "unknown option": (["--factor", "2", "--bogus"], "'--bogus'"),
    "no value": (["--factor"], "'--factor' requires an argument"),
}


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_a_bad_option_is_refused_in_one_line(kind: str, source: Path, out: Path) -> None:
    options, reason = BAD_OPTIONS[kind]
    run = interpolate(source, "-o", out, *options)
    check_refusal(run, reason, out.parent)


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


def test_memory_is_told_of_the_cpu_alone(source: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("vidcm.cli.file.own_device", lambda device, processes: torch.device("cuda"))
    run = interpolate(source, "-o", out, "--factor", "2", "--model", model, "--memory", "2GiB")
    check_refusal(run, "--memory 2GiB is for --device cpu, got auto: give that, or leave --memory out", out.parent)


def test_memory_is_not_for_another_take(source: Path, out: Path) -> None:
    out.touch()
    asked = ["--factor", "2", "--memory", "2GiB", "--reroll", "0.1", "--seed", "1"]
    check_refusal(interpolate(source, "-o", out, *asked), "--reroll does not go with --memory")


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


def test_bad_options_are_told_without_heavy_imports(source: Path, out: Path) -> None:
    told, modules = told_with_modules(source, "-o", out, "--factor", "1")
    assert "--factor must be" in told
    assert not {"torch", "numpy", "av", "cv2", "diffusers"} & modules


@pytest.mark.parametrize("kind", ["text", "sound only", "cut short", "one frame"])
def test_a_bad_source_is_told_without_waiting_for_torch(kind: str, tmp_path: Path, out: Path) -> None:
    make, reason, _ = BAD_SOURCES[kind]
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


@pytest.mark.parametrize("target", ["-", "f_%04d.png"])
def test_markers_of_fcpxml_want_a_file_to_point_into(target: str, source: Path, out: Path) -> None:
    place = target if target == "-" else out.with_name(target)
    run = interpolate(source, "-o", place, "--factor", "2", "--report", out.with_suffix(".fcpxml"))
    check_refusal(run, "points into a video file", out.parent)
