"""What is written is what was given: pixels, instants, tags, and nothing at all when it fails."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.plane import VideoPlane

from vidcm.core.errors import UserError
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter

NTSC = Fraction(30000, 1001)
FAST = {"preset": "ultrafast", "crf": "4"}


def copy(source: Path, target: Path, **options) -> VideoWriter:
    """Every frame of `source` into `target`, the way the commands do it."""
    with open_reader(source, rotate=False) as reader, VideoWriter(target, reader.info, **options) as writer:
        for frame in reader:
            writer.write(frame, frame.instant, frame.duration)
    return writer


def planes(path: Path) -> list[list[bytes]]:
    """The numbers of every plane of every frame, without the padding behind each line."""
    with open_reader(path) as reader:
        sample = 1 + (reader.info.bit_depth > 8)
        return [[visible(plane, sample) for plane in frame.native.planes] for frame in reader]


def visible(plane: VideoPlane, sample: int) -> bytes:
    """sample: bytes per number."""
    lines = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width * sample].tobytes()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("plain.mp4", {}),
        ("full.mp4", {"colour": (1, 2, 1, 1)}),
        ("deep.mkv", {"codec": "ffv1", "pix_fmt": "yuv422p10le", "options": {}}),
        ("odd.webm", {"codec": "libvpx-vp9", "width": 63, "height": 47, "options": {"crf": "10", "b": "0"}}),
        ("turned.mp4", {"rotation": 90}),
    ],
)
def test_source_frames_reach_a_lossless_file_untouched(make_clip, tmp_path, name, fields):
    source = make_clip(name, **fields)
    copy(source, tmp_path / "out.mkv", codec="ffv1")
    assert planes(tmp_path / "out.mkv") == planes(source)


def test_a_written_source_frame_keeps_its_own_time(make_clip, tmp_path):
    with open_reader(make_clip()) as reader, VideoWriter(tmp_path / "out.mp4", reader.info, options=FAST) as writer:
        frames = list(reader)
        before = [(frame.native.pts, frame.native.time_base) for frame in frames]
        for frame in frames:
            writer.write(frame, frame.instant * 3)
    assert [(frame.native.pts, frame.native.time_base) for frame in frames] == before


def test_the_encoder_chooses_its_own_key_frames(make_clip, tmp_path):
    """A source of key frames alone would otherwise make a file several times as large."""
    source = make_clip(gop=1)
    copy(source, tmp_path / "out.mp4", options=FAST)
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert all(frame.key_frame for frame in before.decode(video=0))
        assert [frame.key_frame for frame in after.decode(video=0)] == [True] + [False] * 11


def test_one_frame_can_be_written_many_times(make_clip, tmp_path):
    """A held frame at --fps: the same picture at several instants."""
    with open_reader(make_clip(count=1)) as reader:
        (frame,) = reader
    with VideoWriter(tmp_path / "out.mkv", reader.info, codec="ffv1") as writer:
        for index in range(4):
            writer.write(frame, Fraction(index, 25))
    pixels = planes(tmp_path / "out.mkv")
    assert len(pixels) == 4
    assert all(each == pixels[0] for each in pixels)


def test_a_late_start_comes_back_exactly(make_clip, tmp_path, paint):
    with open_reader(make_clip()) as reader:
        info = reader.info
    instants = [7 / NTSC, 8 / NTSC, 11 / NTSC]
    with VideoWriter(tmp_path / "out.mp4", info, time_base=Fraction(1, 30000), options=FAST) as writer:
        for index, instant in enumerate(instants):
            writer.write(paint(index), instant, 1 / NTSC)
    with open_reader(tmp_path / "out.mp4") as reader:
        assert [frame.instant for frame in reader] == instants


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_instants_and_the_last_duration_come_back_exactly(make_clip, tmp_path, paint, suffix):
    instants = [Fraction(0), Fraction(1, 24), Fraction(1, 24) + Fraction(1, 60), Fraction(1, 2), Fraction(601, 1000)]
    with open_reader(make_clip()) as reader:
        info = reader.info
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, info, time_base=Fraction(1, 3000), options=FAST) as writer:
        for index, instant in enumerate(instants):
            writer.write(paint(index), instant, Fraction(1, 3))
    with open_reader(path) as reader:
        frames = list(reader)
        assert (1 / reader.info.time_base) % 3000 == 0
    assert [frame.instant for frame in frames] == instants
    assert frames[-1].duration == Fraction(1, 3)
    assert frames[-1].instant + frames[-1].duration == reader.timeline.end == reader.info.duration


def test_a_third_of_an_ntsc_period_is_held_exactly(make_clip, tmp_path, paint):
    with open_reader(make_clip(rate=NTSC)) as reader:
        info = reader.info
    with VideoWriter(tmp_path / "out.mp4", info, rate=3 * NTSC, options=FAST) as writer:
        for index in range(30):
            writer.write(paint(index), index / (3 * NTSC))
    with open_reader(tmp_path / "out.mp4") as reader:
        assert reader.info.rate == 3 * NTSC
        assert reader.timeline.end == 30 / (3 * NTSC)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_rounds_to_milliseconds_and_is_recognised_again(make_clip, tmp_path, suffix):
    source = make_clip(rate=NTSC, count=20)
    copy(source, tmp_path / f"out{suffix}", options=FAST if suffix == ".mkv" else {"cpu-used": "8"})
    with open_reader(tmp_path / f"out{suffix}") as reader:
        assert reader.info.time_base == Fraction(1, 1000)
        assert reader.info.rate == NTSC
        assert [frame.instant for frame in reader] == [index / NTSC for index in range(20)]


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("range_", [1, 2])
def test_rgb_frames_come_back_within_two_levels(make_clip, tmp_path, paint, matrix, range_):
    fields = {"codec": "ffv1", "pix_fmt": "yuv444p", "options": {}, "colour": (matrix, range_, 2, 2)}
    with open_reader(make_clip("source.mkv", **fields)) as reader:
        info = reader.info
    with VideoWriter(tmp_path / "out.mkv", info, codec="ffv1") as writer:
        for index in range(3):
            writer.write(paint(index), Fraction(index, 25))
    with open_reader(tmp_path / "out.mkv") as reader:
        for index, frame in enumerate(reader):
            assert np.abs(frame.rgb.astype(int) - paint(index)).max() <= 2


def test_rgb_and_source_frames_of_one_picture_look_alike(make_clip, tmp_path):
    """In-between frames must not differ in colour from the source frames beside them."""
    source = make_clip(colour=(1, 1, 1, 1), width=128, height=96)
    with open_reader(source) as reader, VideoWriter(tmp_path / "out.mkv", reader.info, codec="ffv1") as writer:
        frame = reader.seek(Fraction(1, 5))
        writer.write(frame, Fraction(0))
        writer.write(frame.rgb, Fraction(1, 25))
    with open_reader(tmp_path / "out.mkv") as reader:
        untouched, converted = reader
    difference = untouched.rgb.astype(int) - converted.rgb
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.5
    assert np.abs(difference).mean() < 1.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(("rotation", "hflip"), [(0, False), (90, False), (180, False), (-90, False), (90, True)])
def test_orientation_aspect_and_colour_tags_are_carried(make_clip, tmp_path, suffix, rotation, hflip):
    fields = {"rotation": rotation, "hflip": hflip, "colour": (9, 1, 9, 16), "sample_aspect": Fraction(4, 3)}
    source = make_clip(count=2, **fields)
    copy(source, tmp_path / f"out{suffix}", options=FAST)
    with open_reader(source) as before, open_reader(tmp_path / f"out{suffix}") as after:
        for name in ("orientation", "sample_aspect", "colour", "width", "height", "pix_fmt", "display_size"):
            assert getattr(after.info, name) == getattr(before.info, name)


def test_odd_sizes_keep_their_size_in_h264(make_clip, tmp_path):
    source = make_clip("odd.webm", codec="libvpx-vp9", width=63, height=47, options={"crf": "10", "b": "0"})
    copy(source, tmp_path / "out.mp4", options=FAST)
    with open_reader(tmp_path / "out.mp4") as reader, open_reader(source) as before:
        assert reader.info.display_size == (63, 47)
        for after, original in zip(reader, before, strict=True):
            assert np.abs(after.rgb.astype(int) - original.rgb).mean() < 3


def test_rgb_sources_become_a_format_that_players_know(make_clip, tmp_path, paint):
    source = make_clip("screen.mkv", codec="ffv1", pix_fmt="bgr0", options={}, count=3)
    copy(source, tmp_path / "out.mp4", options=FAST)
    with open_reader(tmp_path / "out.mp4") as reader:
        assert reader.info.pix_fmt == "yuv420p"
        assert reader.info.colour.matrix == 6
        assert np.abs(next(iter(reader)).rgb.astype(int) - paint(0)).mean() < 5


def test_a_transport_stream_becomes_a_file_that_starts_at_zero(make_clip, tmp_path):
    source = make_clip("late.ts", audio=True)
    copy(source, tmp_path / "out.mp4", copy_from=source, options=FAST)
    with open_reader(source) as before, open_reader(tmp_path / "out.mp4") as after:
        assert after.info.start == before.info.start - before.info.origin < Fraction(1, 10)
        shift = before.info.origin
        assert [frame.instant + shift for frame in after] == [frame.instant for frame in before]


@pytest.mark.skipif(sys.platform == "win32", reason="such names are not allowed there")
@pytest.mark.parametrize("name", ["12:30 clip.mp4", "100%d.mp4", "Übergröße ✂.mp4", "-y.mp4"])
def test_files_may_have_any_name(make_clip, tmp_path, name):
    source = make_clip(count=2).rename(tmp_path / name)
    copy(source, tmp_path / f"out {name}", options=FAST, copy_from=source)
    with open_reader(tmp_path / f"out {name}") as reader:
        assert len(list(reader)) == 2


def _info(make_clip):
    with open_reader(make_clip()) as reader:
        return reader.info


@pytest.mark.parametrize("name", ["out.avi", "out.txt", "out"])
def test_an_unknown_extension_is_refused_with_the_known_ones(make_clip, tmp_path, name):
    with pytest.raises(UserError, match=r"\.mp4"):
        VideoWriter(tmp_path / name, _info(make_clip))


def test_a_missing_folder_a_folder_and_the_input_are_refused(make_clip, tmp_path):
    info = _info(make_clip)
    with pytest.raises(UserError, match="does not exist"):
        VideoWriter(tmp_path / "nowhere" / "out.mp4", info)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        VideoWriter(tmp_path / "folder.mp4", info)
    before = info.path.read_bytes()
    with pytest.raises(UserError, match="input itself"):
        VideoWriter(info.path, info)
    os.symlink(info.path, tmp_path / "alias.mp4")
    with pytest.raises(UserError, match="input itself"):
        VideoWriter(tmp_path / "alias.mp4", info)
    assert info.path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_read_only_folder_is_refused(make_clip, tmp_path):
    info = _info(make_clip)
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot write in"):
        VideoWriter(tmp_path / "locked" / "out.mp4", info)


def test_codecs_that_do_not_fit_are_refused_and_leave_nothing(make_clip, tmp_path):
    info = _info(make_clip)
    with pytest.raises(UserError, match="unknown codec"):
        VideoWriter(tmp_path / "out.mp4", info, codec="divx")
    with pytest.raises(UserError, match=r"webm.*h264.*use vp9"):
        VideoWriter(tmp_path / "out.webm", info, codec="h264")
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_the_file_appears_only_when_it_is_whole(make_clip, tmp_path, paint):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, _info(make_clip), options=FAST) as writer:
        writer.write(paint(0), Fraction(0))
        writer.write(paint(1), Fraction(1, 25))
        assert not path.exists()
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_new_and_the_old_file_whole(make_clip, tmp_path, paint, failure):
    info = _info(make_clip)
    path = tmp_path / "out.mp4"
    path.write_bytes(b"an earlier result")
    with pytest.raises(failure), VideoWriter(path, info, options=FAST) as writer:
        writer.write(paint(0), Fraction(0))
        raise failure
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "out.mp4"]
    assert path.read_bytes() == b"an earlier result"


def test_no_frame_at_all_is_an_error_and_no_file(make_clip, tmp_path):
    with pytest.raises(UserError, match="no frame"), VideoWriter(tmp_path / "out.mp4", _info(make_clip)):
        pass
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_wrong_shapes_and_instants_that_do_not_rise_are_refused(make_clip, tmp_path, paint):
    with pytest.raises(ValueError, match=r"\[48, 64, 3\]"), VideoWriter(tmp_path / "a.mp4", _info(make_clip)) as writer:
        writer.write(paint(0, 48, 64), Fraction(0))
    with pytest.raises(UserError, match="rise"), VideoWriter(tmp_path / "b.mp4", _info(make_clip)) as writer:
        writer.write(paint(0), Fraction(1, 25))
        writer.write(paint(1), Fraction(1, 25))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(make_clip, tmp_path):
    import resource

    info = _info(make_clip)
    rng = np.random.default_rng(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with (
            pytest.raises(UserError, match=r"out\.mkv: cannot be written") as caught,
            VideoWriter(tmp_path / "out.mkv", info, codec="ffv1") as writer,
        ):
            for index in range(60):
                writer.write(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8), Fraction(index, 25))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_an_encoder_that_fails_is_told_in_one_line(make_clip, tmp_path):
    with pytest.raises(UserError, match=r"out\.mp4"):
        VideoWriter(tmp_path / "out.mp4", _info(make_clip), options={"preset": "no-such-preset"})
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_the_files_ffmpeg_reads_are_the_files_we_wrote(make_clip, tmp_path):
    """Nothing of ours on the way: plain PyAV counts the same frames."""
    source = make_clip(count=9)
    copy(source, tmp_path / "out.mp4", options=FAST)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == container.streams.video[0].frames == 9
