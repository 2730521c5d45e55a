"""FFV1 proves it: every source frame reaches the output bit for bit, at its own instant."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

SOURCES = {
    "h264": ("in.mp4", "libx264", "yuv420p", (64, 48)),
    "h264 full range": ("in.mp4", "libx264", "yuvj422p", (64, 48)),
    "h264 4:4:4, odd": ("in.mkv", "libx264", "yuv444p", (63, 47)),
    "hevc 10 bit": ("in.mp4", "libx265", "yuv420p10le", (64, 48)),
    "hevc 12 bit 4:2:2": ("in.mkv", "libx265", "yuv422p12le", (64, 48)),
    "vp9": ("in.webm", "libvpx-vp9", "yuv420p", (63, 47)),
    "av1 10 bit": ("in.mp4", "libsvtav1", "yuv420p10le", (64, 64)),
    "prores 4444": ("in.mov", "prores_ks", "yuv444p10le", (64, 48)),
    "grey": ("in.mkv", "ffv1", "gray", (64, 48)),
    "16 bit": ("in.mkv", "ffv1", "yuv444p16le", (64, 48)),
    "deep RGB": ("in.mkv", "ffv1", "gbrp12le", (64, 48)),
}
QUICK = {"libsvtav1": {"preset": "12"}, "libvpx-vp9": {"cpu-used": "8"}}


def noisy_video(path: Path, codec: str, pix_fmt: str, size: tuple[int, int]) -> Path:
    width, height = size
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=QUICK.get(codec, {"preset": "ultrafast"}))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec == "libx265":
            stream.options = {"preset": "ultrafast", "x265-params": "log-level=error"}
        for _ in range(5):
            rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def digests(path: Path) -> dict[Fraction, str]:
    """Instant -> hash over every sample of every plane, without the padding behind each line."""
    with open_reader(path) as reader:
        return {frame.instant: digest(frame.native) for frame in reader}


def digest(frame: av.VideoFrame) -> str:
    found = hashlib.sha256()
    for plane in frame.planes:
        sample = 1 + (frame.format.components[0].bits > 8)
        lines = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
        found.update(lines[:, : plane.width * sample].tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_frame_is_in_the_output_bit_for_bit(kind, crossfade, tmp_path):
    name, *how = SOURCES[kind]
    source, target = noisy_video(tmp_path / name, *how), tmp_path / "out.mkv"
    report = interpolate_file(source, target, rule=Factor(Fraction(3)), interpolator=crossfade, codec="ffv1")
    before, after = digests(source), digests(target)
    assert len(set(before.values())) == len(before) == 5
    assert len(after) == 15
    assert {instant: after[instant] for instant in before} == before
    assert report.dropped == []


def test_at_a_constant_rate_a_frame_that_coincides_is_the_source_frame(crossfade, tmp_path):
    source, target = noisy_video(tmp_path / "in.mp4", "libx264", "yuv420p", (64, 48)), tmp_path / "out.mkv"
    interpolate_file(source, target, rule=Rate(Fraction(60)), interpolator=crossfade, codec="ffv1")
    before, after = digests(source), digests(target)
    shared = set(before) & set(after)
    assert len(shared) == 3  # every second one of 24 fps falls on a frame of 60 fps
    assert all(before[instant] == after[instant] for instant in shared)
