"""Small videos and a random model for the tests of `vidcm interpolate`, and what a refusal looks like."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from click.testing import CliRunner, Result

from vidcm.cli.main import cli


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


def interpolate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["interpolate", *map(str, arguments)])


def check_refusal(run: Result, reason: str, folder: Path | None = None, code: int = 2) -> None:
    """One line that says so, nothing left in the folder. code: 2 for what was asked, 1 for what files hold."""
    assert run.exit_code == code
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith("Error: ")
    assert reason in run.stderr
    if folder is not None:
        assert list(folder.iterdir()) == []


def told_with_modules(*arguments: str | Path, command: str = "interpolate") -> tuple[str, set[str]]:
    """(stderr, imported modules) of the command in a process of its own."""
    code = "import sys; from vidcm.__main__ import process\ntry: process()\nfinally: print(*sys.modules)"
    words = [sys.executable, "-c", code, command, *arguments]
    run = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    return run.stderr, set(run.stdout.split())
