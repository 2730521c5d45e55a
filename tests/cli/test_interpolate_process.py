"""`vidcm interpolate` as a process of its own: interrupted, one of two, and what it says then."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.two_processes import in_two_processes, succeeded

from .interpolating import cut_short, interpolate, told_with_modules, write_video


@pytest.fixture
def running(source: Path, out: Path, model: Path) -> Iterator[subprocess.Popen[str]]:
    """A long interpolation that has begun to write."""
    write_video(source, 400)
    # A test run that was itself put in the background has SIGINT ignored, and hands that down: put it back.
    code = (
        "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from vidcm.__main__ import process; process()"
    )
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

    write_video(source, 46)
    asked = [source, "--factor", "8", "--steps", "0", "--model", model, "--cuts", "off"]
    code = (
        "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from vidcm.__main__ import process; process()"
    )
    command = [sys.executable, "-c", code, "interpolate", *asked, "-o", out]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (parts := [*out.parent.glob(".*/000000.json")]) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert parts
    assert process.returncode == 130
    expected = f"Interrupted. ({out}: what is whole of it is kept; the same command with --resume goes on from there)"
    assert stderr.splitlines()[-1:] == [expected]
    refused = interpolate(*asked, "-o", out, "--resume", "--seed", "3")
    assert f"{out}: --resume cannot go on, the interrupted run was another one: --seed was 0, now 3" in refused.stderr
    assert refused.stderr.count("\n") == 1
    run = interpolate(*asked, "-o", out, "--resume")
    assert run.stdout.startswith(f"{out}: 368 frames from 46 (315 made), 240 of them there before"), run.stderr
    assert "from the beginning" not in run.stderr
    assert list(out.parent.iterdir()) == [out]
    whole = out.with_name("whole.mp4")
    interpolate(*asked, "-o", whole)
    assert whole.read_bytes() == out.read_bytes()


def test_two_processes_share_a_file(source: Path, out: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidcm.interpolation import segments

    write_video(source, 20)
    asked = [source, "--factor", "2", "--model", model, "--steps", "0"]
    short = "from vidcm.interpolation import segments; segments.FRAMES = segments.LEAST_FRAMES = 8; "
    code = f"{short}from vidcm.__main__ import process; process()"
    first, second = ended = in_two_processes(["-c", code, "interpolate", "-o", out, *asked])
    succeeded(ended)
    assert first.stdout.startswith(f"{out}: 40 frames from 20 (19 made), 48 fps")
    assert second.stdout == ""
    assert list(out.parent.iterdir()) == [out]
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)
    alone = out.with_name("alone.mp4")
    interpolate(*asked, "-o", alone)
    assert alone.read_bytes() == out.read_bytes()


def test_a_process_says_one_line_and_no_library_says_more(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "source.mp4"
    cut_short(write_video(source, 60, container_options={"movflags": "+faststart"}), 0.6)
    command = [sys.executable, "-m", "vidcm", "interpolate", source, "-o", out, "--factor", "2"]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("Error: ")


@pytest.mark.parametrize("command", ["interpolate", "generate"])
def test_it_begins_without_the_libraries_that_it_does_not_use(
    command: str, source: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    """diffusers and what that imports take longer than the frames of a short clip, or those between two pictures."""
    asked = [source, "--factor", "2"]
    if command == "generate":
        ends = [str(tmp_path / name) for name in ("a.png", "b.png")]
        for shade, end in enumerate(ends):
            cv2.imwrite(end, np.full((64, 96, 3), 100 + shade, np.uint8))
        asked = ["--image", ends[0], "--last-image", ends[1], "--num-frames", "3"]
    told, modules = told_with_modules(*asked, "-o", out, "--model", model, command=command)
    assert out.exists(), told
    assert "torch" in modules
    assert not modules & {"diffusers", "transformers", "peft", "accelerate", "huggingface_hub", "torch._dynamo", "PIL"}
