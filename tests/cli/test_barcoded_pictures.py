"""Every codec, depth, container and row of pictures shows source frames in their places, in-betweens between them."""

import io
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.barcode import Seen, look, picture, read, write

from .interpolating import interpolate

COUNT = 4


def check(shown: list[Seen], count: int = COUNT) -> None:
    """Of a run with --factor 2."""
    assert len(shown) == 2 * count
    for place, seen in enumerate(shown):
        if place % 2 == 0 or place == len(shown) - 1:
            assert (seen.number, seen.is_clear) == (place // 2, True)
        assert seen.number in (place // 2, (place + 1) // 2)
        assert seen.hand == pytest.approx(min(place / 2, count - 1), abs=0.2)


def doubled(source: Path, target: Path, *how: str) -> list[Seen]:
    run = interpolate(source, "-o", target, "--steps", "0", "--factor", "2", *how)
    assert run.exit_code == 0, run.output
    return read(target)


def kind(path: Path) -> tuple[str, str]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec.canonical_name, stream.pix_fmt


@pytest.mark.parametrize(
    ("given", "codec", "name", "written"),
    [
        (("libx264", "yuv420p"), "h264", "out.mp4", "yuv420p"),
        (("libx264", "yuv422p10le"), "h264", "out.mkv", "yuv422p10le"),
        (("libx265", "yuv420p10le"), "hevc", "out.mp4", "yuv420p10le"),
        (("libx265", "yuv444p12le"), "hevc", "out.mov", "yuv444p12le"),
        (("libx264", "yuv420p10le"), "av1", "out.mp4", "yuv420p10le"),
        (("libx264", "yuv444p"), "vp9", "out.webm", "yuv444p"),
        (("libx264", "yuv422p10le"), "prores", "out.mov", "yuv422p10le"),
        (("libx265", "yuv422p12le"), "ffv1", "out.mkv", "yuv422p12le"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else each,
)
def test_every_codec_shows_every_frame_at_the_depth_it_came_in(given, codec, name, written, tmp_path):
    quiet = {"x265-params": "log-level=none", "preset": "ultrafast"} if given[0] == "libx265" else None
    source = write(tmp_path / "in.mkv", map(picture, range(COUNT)), codec=given[0], pix_fmt=given[1], options=quiet)
    check(doubled(source, tmp_path / name, "--codec", codec))
    assert kind(tmp_path / name) == (codec, written)


def test_dnxhr_too(tmp_path):
    frames = (picture(index, size=(256, 120)) for index in range(COUNT))
    source = write(tmp_path / "in.mp4", frames, pix_fmt="yuv422p", matrix=1)
    check(doubled(source, tmp_path / "out.mov", "--codec", "dnxhr"))


def test_a_turned_video_is_made_as_it_is_coded(tmp_path):
    source = write(tmp_path / "in.mp4", map(picture, range(COUNT)), rotation=90)
    check(doubled(source, tmp_path / "out.mp4"))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 90


def test_pictures_in_and_out(tmp_path):
    (tmp_path / "in").mkdir(), (tmp_path / "out").mkdir()
    source = write(tmp_path / "in.mkv", map(picture, range(COUNT)), codec="ffv1", pix_fmt="bgr0")
    run = interpolate(source, "-o", tmp_path / "in" / "f_%02d.png", "--steps", "0", "--fps", "24")
    assert run.exit_code == 0, run.output
    check(doubled(tmp_path / "in", tmp_path / "out" / "g_%03d.png", "--input-fps", "24"))
    check(doubled(tmp_path / "in" / "f_%02d.png", tmp_path / "out.mp4", "--input-fps", "24"))


def test_through_pipes(tmp_path):
    """Another program's pictures come in on standard input and go out on standard output."""
    source = write(tmp_path / "in.y4m", map(picture, range(COUNT)), codec="wrapped_avframe")
    command = [sys.executable, "-m", "vidcm", "interpolate", "-", "-o", "-", "--factor", "2", "--steps", "0"]
    run = subprocess.run(command, input=source.read_bytes(), capture_output=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    with av.open(io.BytesIO(run.stdout), format="yuv4mpegpipe") as container:
        frames = container.decode(video=0)
        check([look(frame.to_ndarray(format="rgb24"), frame.pts * frame.time_base) for frame in frames])
