"""Odd and broken media: a right result, or one clear line; never a traceback, a hang or half a file."""

import os
import signal
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.done import Report
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.announced import announced_size, cut_short
from vidcm.media.packets import demux
from vidcm.media.reader import open_reader

from . import odd_media as odd

DOUBLE, TO_60 = Factor(Fraction(2)), Rate(Fraction(60))
FAST_START = {"movflags": "+faststart"}
B_FRAMES = {"bf": "2", "preset": "veryfast"}
SMALL = {"crf": "1", "preset": "ultrafast", "g": "5", "threads": "1"}
PATIENCE_S = 60
VP9 = {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "deadline": "realtime"}}
MJPEG = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}


@contextmanager
def no_hang() -> Iterator[None]:
    """Ends what takes too long, where the system can."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def give_up(*_: object) -> None:
        pytest.fail(f"not done after {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def double(tmp_path, crossfade) -> Callable[..., Report | str]:
    """double(source, ...): the report, or the line that refuses; nothing but a whole file is ever left."""
    folder = tmp_path / "out"
    folder.mkdir()

    def run(source: Path, name: str = "out.mkv", rule=DOUBLE, **how) -> Report | str:
        if name.endswith(".mkv"):
            how.setdefault("codec", "ffv1")
        target = folder / name
        with no_hang(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                report = interpolate_file(source, target, rule=rule, interpolator=crossfade, **how)
            except UserError as error:
                report = str(error)
        if isinstance(report, str):
            assert list(folder.iterdir()) == []
            assert "\n" not in report
            assert str(source) in report
            return report.removeprefix(str(source))
        assert [path.name for path in folder.iterdir()] == [name]
        with av.open(str(target)) as container:
            assert sum(1 for _ in container.decode(video=0)) == report.frames_out
        target.unlink()
        return report

    return run


CONTAINERS = {
    "mp4": {"container": FAST_START},
    "mov": {"container": FAST_START},
    "frag.mp4": {"container": {"movflags": "+frag_keyframe+empty_moov"}},
    "mkv": {},
    "webm": VP9,
    "ts": {},
    "m2ts": {},
    "avi": {},
    "flv": {},
}
TELLS_BYTES = [name for name in CONTAINERS if name != "flv"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_file_is_not_said_to_be_cut_short(double, tmp_path, name):
    path = odd.video(tmp_path / f"a.{name}", 20, sound_s=0.8 if name != "webm" else 0, **CONTAINERS[name])
    report = double(path)
    assert (report.frames_in, report.problems) == (20, [])
    with path.open("rb") as file:
        announced = announced_size(file, path.stat().st_size)
    assert announced == (path.stat().st_size if name in TELLS_BYTES else None)


@pytest.mark.parametrize("part", [0.001, 0.05, 0.6, 0.995])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_file_cut_short_is_refused_unless_allowed(double, tmp_path, name, part):
    path = odd.cut(odd.video(tmp_path / f"a.{name}", **CONTAINERS[name]), part)
    refusal = double(path)
    if name == "flv" and part > 0.9:  # of a length it tells in seconds alone, a frame may be missing
        assert refusal.frames_in == 49
        return
    report = double(path, allow_truncated=True)
    assert refusal.startswith((": is cut short: ", ": cannot be read as video"))
    if part > 0.5:
        assert refusal.endswith("or take what is there with --allow-truncated")
        assert abs(report.frames_in - 50 * part) <= 3
        assert [problem for problem in report.problems if problem.startswith("is cut short: ")] == report.problems
    else:
        assert isinstance(report, str) or report.frames_in <= 4


@pytest.mark.parametrize(
    ("name", "told"), [("mkv", "bytes are there"), ("ts", "nothing tells how much more there was")]
)
def test_a_few_bytes_that_are_missing_are_told_by_the_kind_of_file(tmp_path, name, told):
    path = odd.video(tmp_path / f"a.{name}", 20)
    path.write_bytes(path.read_bytes()[:-100])
    assert told in cut_short(path)


def test_sound_of_a_file_cut_short_ends_with_what_is_there(double, tmp_path):
    path = odd.cut(odd.video(tmp_path / "a.mkv", sound_s=2), 0.5)
    assert "with --allow-truncated" in double(path, rule=TO_60)
    report = double(path, "out.mp4", rule=TO_60, allow_truncated=True)
    assert 0.9 < report.duration_s < 1.1


def test_an_index_that_is_missing_leaves_nothing_to_take(double, tmp_path):
    for part in (0.3, 0.99):
        path = odd.cut(odd.video(tmp_path / "a.mp4"), part)
        for allow_truncated in (False, True):
            told = double(path, allow_truncated=allow_truncated)
            assert told.endswith(
                "bytes are there, and not its index, without which --allow-truncated has nothing to take; copy it again"
            )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["mp4", "mkv", "ts", "avi"])
def test_flipped_bytes_are_survived_or_told(double, tmp_path, name, seed):
    clean = odd.video(tmp_path / f"a.{name}", sound_s=0.4, count=10, options=SMALL).read_bytes()
    for flips, first, last in ((30, 0, 1), (5, 0, 0.03), (5, 0.97, 1)):
        path = tmp_path / f"a.{name}"
        path.write_bytes(clean)
        told = double(odd.scratched(path, seed, flips, first, last))
        assert isinstance(told, str) or told.frames_out == 2 * told.frames_in, told


def test_streams_that_come_up_on_the_way_end_nothing_early():
    """As where a broadcast goes from one programme to another: PyAV 18 then stumbles over the end of the file."""

    class Stumbling:
        def demux(self, *streams):
            yield from streams
            raise IndexError("list index out of range")

    assert list(demux(Stumbling(), 1, 2, 3)) == [1, 2, 3]


@pytest.mark.parametrize("name", ["a.h264", "a.hevc", "a.avi"])
def test_pictures_without_times_of_their_own_come_in_the_order_they_are_shown(double, tmp_path, name):
    options = {"x265-params": "log-level=error"} if name == "a.hevc" else B_FRAMES
    source = odd.video(tmp_path / name, 20, codec="libx265" if name == "a.hevc" else "libx264", options=options)
    with open_reader(source) as reader:
        frames = list(reader)
        assert [frame.instant for frame in frames] == [Fraction(index, 25) for index in range(20)]
        assert reader.timeline.instants == [frame.instant for frame in frames]
        for index in (13, 4):
            np.testing.assert_array_equal(reader.seek(frames[index].instant).rgb, frames[index].rgb)
    for index, frame in enumerate(frames):
        error = [np.abs(frame.rgb.astype(int) - odd.drawn(k).to_ndarray(format="rgb24")).mean() for k in range(20)]
        assert np.argmin(error) == index
    report = double(source)
    assert (report.frames_in, report.source_rate, report.duration_s) == (20, "25", 0.8)
    is_guessed = [problem.startswith("holds no times: its pictures are taken as 25") for problem in report.problems]
    assert is_guessed == ([] if name == "a.avi" else [True])


@pytest.mark.parametrize("options", [{"bf": "0"}, B_FRAMES], ids=["in order", "reordered"])
def test_packets_that_give_no_picture_leave_the_times_of_later_ones(double, tmp_path, options):
    source = odd.video(tmp_path / "a.avi", 60, options={"crf": "1", "g": "20", "threads": "1", **options})
    with av.open(str(source)) as container:
        hurt = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    for packet in (hurt[number] for number in (5, 12, 29)):
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    source.write_bytes(data)
    with warnings.catch_warnings(), open_reader(source) as reader:
        warnings.simplefilter("ignore")
        shown = {frame.instant: frame.rgb.astype(int) for frame in reader}
    assert 55 <= len(shown) <= 57
    for index in (*range(3), *range(20, 25), *range(40, 60)):  # from each key frame up to what is hurt
        error = [np.abs(shown[Fraction(index, 25)] - odd.drawn(k).to_ndarray(format="rgb24")).mean() for k in range(60)]
        assert np.argmin(error) == index


def test_after_a_lost_packet_times_are_right_from_the_next_but_one_picture_that_is_no_b(tmp_path):
    plain = {"b-adapt": "0", "b-pyramid": "none", "scenecut": "0", "weightp": "0"}
    told = {"crf": "1", "g": "20", "threads": "1", "bf": "2", "x264-params": ":".join(map("=".join, plain.items()))}
    source = odd.video(tmp_path / "a.avi", 40, options=told)
    with av.open(str(source)) as container:
        (lost,) = (packet for number, packet in enumerate(container.demux(video=0)) if number == 8)
    data = bytearray(source.read_bytes())
    data[lost.pos : lost.pos + lost.size] = bytes(lost.size)  # the picture at 7, of those at 6, 9 and 12 none is a B
    source.write_bytes(data)
    with warnings.catch_warnings(), open_reader(source) as reader:
        warnings.simplefilter("ignore")
        shown = {round(25 * frame.instant): frame.rgb.astype(int) for frame in reader}
    for index in (*range(7), *range(12, 40)):
        error = [np.abs(shown[index] - odd.drawn(k).to_ndarray(format="rgb24")).mean() for k in range(40)]
        assert np.argmin(error) == index


def test_times_that_do_not_rise(double, tmp_path):
    swapped = [0, 1, 2, 3, 5, 4, *range(6, 20)]
    report = double(odd.video(tmp_path / "swapped.mkv", 20, pts=swapped, **MJPEG))
    assert report.frames_in == 19
    assert report.problems == ["left out for not advancing in time: 1 of its frames, the first after 0.200 s"]
    back = double(odd.video(tmp_path / "back.mkv", 60, pts=[*range(30), *range(30)], **MJPEG))
    assert back.startswith(": its time jumps back from 1.16 s to 0.00 s")
    assert "nothing to interpolate" in double(odd.video(tmp_path / "same.mkv", 20, pts=[0] * 20, **MJPEG))


def test_two_recordings_in_one_file_are_told_apart(double, tmp_path):
    first, second = odd.video(tmp_path / "a.ts"), odd.video(tmp_path / "b.ts", size=(96, 64))
    assert "its time jumps back from 1.96 s" in double(odd.joined(tmp_path / "twice.ts", [first, first]))
    assert "changes from 64x48 to 96x64" in double(odd.joined(tmp_path / "larger.ts", [first, second]))


def test_a_kind_of_pixel_that_changes_is_converted(double, tmp_path):
    """Where the depth rises, the further bits are left: the output was begun without them."""
    parts = [odd.video(tmp_path / f"{kind}.h264", 10, pix_fmt=kind) for kind in ("yuv420p", "yuv444p10le", "gray")]
    assert double(odd.joined(tmp_path / "all.h264", parts)).frames_in == 30


def test_damaged_times_do_not_have_frames_made_for_days(double, tmp_path):
    days = [*range(10), *range(25 * 864_000, 25 * 864_000 + 10)]
    path = odd.video(tmp_path / "days.mkv", 20, pts=days, **MJPEG)
    refusal = double(path, rule=TO_60)
    assert "shows nothing new from 0.36 s to 864000.00 s, which would take 51,839,979 frames" in refusal
    assert double(path, rule=TO_60, span=parse_range("0-0.3")).frames_in == 7
    assert double(path).frames_out == 40  # a factor makes no more frames for it


def test_one_frame_is_too_few_and_two_are_enough(double, tmp_path):
    told = double(odd.video(tmp_path / "1.mp4", 1))
    assert "holds a single frame: interpolation needs at least two" in told
    assert told.endswith("give the pattern ('f_%04d.png' --input-fps 24)")
    report = double(odd.video(tmp_path / "2.mp4", 2), "out.mp4")
    assert (report.frames_in, report.frames_out, report.duration_s) == (2, 4, 0.08)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm"])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 1), (161, 121), (5, 400)], ids=str)
def test_any_size(double, tmp_path, size, name):
    raw = {"codec": "ffv1", "pix_fmt": "yuv444p", "options": {}}
    report = double(odd.video(tmp_path / "a.mkv", 3, size, **raw), name)
    assert (report.width, report.height, report.frames_out) == (*size, 6)


def test_words_that_are_no_text_come_along_as_far_as_they_are(double, tmp_path):
    odd_words = {b"TITLEXX": b"\xff\xfe\xe9\x80\xc3X\x00", b"ARTISTX": b"\xed\xa0\x80ab\xf0\x9f"}
    for name in ("a.mkv", "a.mp4"):
        path = odd.video(tmp_path / name, 5, words={"title": "TITLEXX", "artist": "ARTISTX"})
        data = path.read_bytes()
        for plain, other in odd_words.items():
            data = data.replace(plain, other)
        path.write_bytes(data)
        for out in ("out.mkv", "out.mp4"):
            assert double(path, out).frames_in == 5


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are text there")
def test_a_name_that_is_no_text(double, tmp_path):
    path = tmp_path / os.fsdecode(b"cl\xe9.mp4")
    odd.video(tmp_path / "a.mp4", 3).rename(path)
    assert double(path).frames_in == 3


def giant_box(path: Path) -> Path:
    path.write_bytes(struct.pack(">I4s", 0xFFFFFFF0, b"moov") + struct.pack(">I4s", 0xFFFFFF00, b"trak") + bytes(3000))
    return path


def giant_picture(path: Path) -> Path:
    """A PNG of 2^30 pixels squared, in a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def giant_size(path: Path) -> Path:
    """Its header says 65535x65535, its pictures 64x48: those count."""
    data = bytearray(odd.video(path, 5).read_bytes())
    entry = data.find(b"avc1", data.find(b"stsd"))
    data[entry + 28 : entry + 32] = struct.pack(">HH", 65535, 65535)
    path.write_bytes(bytes(data))
    return path


def test_giant_headers_take_no_giant_memory(double, tmp_path):
    assert "is cut short: 3,016 of 4,294,967,280 bytes" in double(giant_box(tmp_path / "box.mp4"))
    assert "no frame of its video can be decoded" in double(giant_picture(tmp_path / "picture.png"))
    assert double(giant_size(tmp_path / "size.mp4")).width == 64
    assert double(odd.video(tmp_path / "words.mkv", 5, words={"comment": "x" * 5_000_000})).frames_in == 5


def only_sound(path: Path) -> Path:
    with av.open(str(odd.video(path.with_suffix(".mkv"), 3, sound_s=1))) as both, av.open(str(path), "w") as output:
        copy = output.add_stream_from_template(both.streams.audio[0])
        for packet in both.demux(both.streams.audio[0]):
            packet.stream = copy
            output.mux(packet)
    return path


def text(path: Path) -> Path:
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    return path


def no_packet(path: Path) -> Path:
    odd.video(path, container={"movflags": "+frag_keyframe+empty_moov"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moof") - 4])
    return path


@pytest.mark.parametrize(
    ("make", "name", "told"),
    [
        (only_sound, "a.mp4", "holds no video (audio only)"),
        (text, "a.srt", "holds no video (subtitle only)"),
        (text, "a.mp4", "holds no video (subtitle only)"),
        (no_packet, "a.mp4", "no frame of its video can be decoded"),
        (lambda path: odd.cut(odd.video(path), 0), "a.mp4", "is empty"),
    ],
    ids=["sound", "subtitles", "subtitles named mp4", "no packet", "nothing"],
)
def test_what_has_no_pictures_is_refused(double, tmp_path, make, name, told):
    assert told in double(make(tmp_path / name))
