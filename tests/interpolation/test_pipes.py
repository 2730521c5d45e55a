"""`-`: YUV4MPEG2 from standard input and to standard output, nothing read twice, nothing put anywhere."""

import io
import os
import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from click.testing import CliRunner

from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.deep import depth_of

from . import odd_media as odd

DOUBLE = Factor(Fraction(2))
PIPE = Path("-")
KINDS = ["yuv420p", "yuv422p10le", "yuv444p12le", "gray"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, which stays empty but for what a test puts there."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def piped(monkeypatch):
    """piped(bytes): what standard input gives."""

    def pipe(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return pipe


def lossless(path: Path, pix_fmt: str, count: int = 4) -> Path:
    return odd.video(path, count, (49, 33), codec="ffv1", pix_fmt=pix_fmt, options={})


def samples(source) -> list[bytes]:
    """The samples of each picture, without what pads its lines."""
    with av.open(source) as container:
        frames = container.decode(video=0)
        return [b"".join(visible(plane, depth_of(frame.format.name)) for plane in frame.planes) for frame in frames]


def visible(plane: av.video.plane.VideoPlane, depth: int) -> bytes:
    lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width * (2 if depth > 8 else 1)].tobytes()


def y4m(source: Path, crossfade, capfdbinary) -> bytes:
    capfdbinary.readouterr()
    interpolate_file(source, PIPE, rule=DOUBLE, interpolator=crossfade)
    return capfdbinary.readouterr().out


@pytest.mark.parametrize("pix_fmt", KINDS)
def test_source_frames_pass_out_and_in_again_as_they_are(pix_fmt, tmp_path, place, crossfade, piped, capfdbinary):
    source = lossless(tmp_path / "in.mkv", pix_fmt)
    out = y4m(source, crossfade, capfdbinary)
    assert out.startswith(b"YUV4MPEG2 W49 H33 F50:1 ")
    assert samples(str(source)) == samples(io.BytesIO(out))[::2]

    piped(out)
    report = interpolate_file(PIPE, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    assert (report.frames_in, report.frames_out, report.pix_fmt) == (8, 16, pix_fmt)
    assert (report.source_rate, report.rate, report.problems, report.dropped) == ("50", "100", [], [])
    assert samples(io.BytesIO(out)) == samples(str(tmp_path / "out.mkv"))[::2]
    assert list(place.iterdir()) == []


def test_a_pipe_gives_what_a_file_does(tmp_path, crossfade, capfdbinary):
    source = lossless(tmp_path / "in.mkv", "yuv420p10le")
    report = interpolate_file(source, tmp_path / "out.y4m", rule=DOUBLE, interpolator=crossfade)
    assert (report.codec, report.frames_out) == ("y4m", 8)
    assert (tmp_path / "out.y4m").read_bytes() == y4m(source, crossfade, capfdbinary)


def test_a_rate_goes_through_pipes(tmp_path, crossfade, piped, capfdbinary):
    piped(y4m(lossless(tmp_path / "in.mkv", "yuv420p"), crossfade, capfdbinary))
    interpolate_file(PIPE, PIPE, rule=Rate(Fraction(60000, 1001)), interpolator=crossfade)
    out = capfdbinary.readouterr().out
    assert b" F60000:1001 " in out[:60]
    assert out.count(b"FRAME\n") == 10  # 0.16 s


@pytest.mark.filterwarnings("ignore::vidcm.media.info.MediaWarning")
def test_pictures_that_end_in_the_middle_of_one_are_told(tmp_path, crossfade, piped, capfdbinary):
    data = y4m(lossless(tmp_path / "in.mkv", "yuv420p"), crossfade, capfdbinary)
    how = {"rule": DOUBLE, "interpolator": crossfade}
    piped(data[:-100])
    with pytest.raises(UserError, match="ends within a picture; look at what wrote it, or take that with"):
        interpolate_file(PIPE, tmp_path / "out.mkv", **how)
    assert not (tmp_path / "out.mkv").exists()
    piped(data[:-100])
    report = interpolate_file(PIPE, tmp_path / "out.mkv", **how, allow_truncated=True)
    assert (report.frames_in, report.problems) == (7, ["is cut short: it ends within a picture"])


WAY_OUT = "pipe YUV4MPEG2 in, as ffmpeg -i IN -f yuv4mpegpipe -strict -1 - does, or name a file"
EMPTY = {
    "nothing": (b"", f"nothing came through the pipe: {WAY_OUT}"),
    "text": (b"no pictures", f"what came is no YUV4MPEG2: {WAY_OUT}"),
    "head": (b"YUV4MPEG2 W49 H33 F50:1 C420\n", ""),
}


@pytest.mark.parametrize(("data", "told"), EMPTY.values(), ids=EMPTY)
def test_what_holds_no_pictures_is_refused_in_one_line(data, told, tmp_path, crossfade, piped):
    piped(data)
    with pytest.raises(UserError, match=r"^-: " + re.escape(told)) as caught:
        interpolate_file(PIPE, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("*out*")) == []


def test_a_reader_that_leaves_ends_the_work_without_a_word(tmp_path, crossfade):
    source = lossless(tmp_path / "in.mkv", "yuv420p", 40)
    readable, writable = os.pipe()
    os.close(readable)
    before = os.dup(1)
    try:
        os.dup2(writable, 1)
        with pytest.raises(BrokenPipeError):
            interpolate_file(source, PIPE, rule=DOUBLE, interpolator=crossfade)
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(writable)


def test_what_needs_a_file_is_refused(tmp_path, crossfade, piped, capfdbinary):
    piped(y4m(lossless(tmp_path / "in.mkv", "yuv420p"), crossfade, capfdbinary))
    with pytest.raises(UserError, match="can be read only once: leave --range, --preview, --repair"):
        interpolate_file(PIPE, PIPE, rule=DOUBLE, interpolator=crossfade, span=parse_range("0-1"))


class Terminal:
    isatty = staticmethod(lambda: True)


@pytest.mark.parametrize("stream", [Terminal, None], ids=["a terminal", "a closed stream"])
def test_neither_is_a_pipe(stream, place, monkeypatch):
    odd.video(place / "in.mkv", 3)
    monkeypatch.setattr("vidcm.cli.asked.sys", SimpleNamespace(stdin=stream, stdout=stream))
    for source, target, told in (("-", "out.mkv", "nothing is piped in: pipe"), ("in.mkv", "-", "is a terminal")):
        run = CliRunner().invoke(cli, ["interpolate", source, "-o", target, "--factor", "2"])
        assert (run.exit_code, told in run.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["in.mkv", "-o", "-", "--json"], "--json writes where the pictures go"),
        (["-", "-o", "out.mkv", "--resume"], "what is piped cannot be resumed"),
    ],
)
def test_options_that_pipes_cannot_have_are_named(words, told, place):
    odd.video(place / "in.mkv", 3)
    run = CliRunner().invoke(cli, ["interpolate", *words, "--factor", "2"])
    assert run.exit_code == 2
    assert told in run.stderr
