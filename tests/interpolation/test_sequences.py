"""Numbered pictures in and out: numbering, depth and rate kept, holes named, nothing half written."""

import os
import pickle
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader
from vidcm.media.sequence import Pattern, find_sequence

from . import odd_media as odd
from . import pictures

DOUBLE = Factor(Fraction(2))
DTYPES = {"rgb24": np.uint8, "rgb48be": ">u2", "gray": np.uint8, "gray16be": ">u2"}


def pixels(index: int, pix_fmt: str) -> np.ndarray:
    """Noise, different from picture to picture."""
    shape = (18, 22, 3) if pix_fmt.startswith("rgb") else (18, 22)
    top = np.iinfo(DTYPES[pix_fmt]).max
    return np.random.default_rng(index).integers(0, top, shape, endpoint=True).astype(DTYPES[pix_fmt])


def save(folder: Path, numbers, pix_fmt: str = "rgb24", name: str = "f_%04d.png") -> Path:
    """PNG pictures, and their pattern. The folder's name is a trap of its own."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        samples = pixels(number, pix_fmt)
        native = samples.astype(samples.dtype.newbyteorder("=")) if samples.itemsize > 1 else samples
        context = av.CodecContext.create("png", "w")
        context.height, context.width = samples.shape[:2]
        context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 24)
        packets = [*context.encode(av.VideoFrame.from_ndarray(native, pix_fmt)), *context.encode(None)]
        (folder / (name % number)).write_bytes(b"".join(map(bytes, packets)))
    return folder / name


def load(path: Path) -> tuple[str, np.ndarray]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.format.name, frame.to_ndarray()


@pytest.fixture
def shots(tmp_path) -> Path:
    return tmp_path / "100% shots"


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "50%d out").mkdir()
    return tmp_path / "50%d out"


def test_pictures_by_a_relative_name_can_be_told_from_other_files(shots, monkeypatch):
    save(shots, range(3), "rgb24")
    monkeypatch.chdir(shots.parent)
    relative = find_sequence(Path(shots.name), Fraction(24))
    found = relative.absolute()
    assert (str(found), found.count, found.rate) == (str(shots / relative.name), 3, 24)


@pytest.mark.parametrize("pix_fmt", DTYPES)
def test_pictures_keep_their_numbers_their_depth_and_every_sample(shots, out, crossfade, pix_fmt):
    source = find_sequence(save(shots, range(998, 1003), pix_fmt), Fraction(24))
    assert (source.first, source.count) == (998, 5)
    report = interpolate_file(source, out / "g_%03d.png", rule=DOUBLE, interpolator=crossfade)
    assert (report.frames_in, report.frames_out, report.pix_fmt, report.rate) == (5, 10, pix_fmt, "48")
    assert (report.dropped, report.problems) == ([], [])
    assert sorted(path.name for path in out.iterdir()) == sorted(f"g_{number:03}.png" for number in range(998, 1008))
    for place in range(5):
        kind, samples = load(out / f"g_{998 + 2 * place}.png")
        assert kind == pix_fmt
        np.testing.assert_array_equal(samples, pixels(998 + place, pix_fmt))
    middle = (pixels(998, pix_fmt).astype(float) + pixels(999, pix_fmt)) / 2
    made = load(out / "g_999.png")[1].astype(float)
    assert np.abs(made - middle).max() <= (1 if pix_fmt == "rgb24" else 400 if pix_fmt == "gray16be" else 2)


def test_pictures_become_a_video_at_the_rate_that_is_said(shots, tmp_path, crossfade):
    source = find_sequence(save(shots, range(1, 6)), Fraction(24000, 1001))
    report = interpolate_file(source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    assert (report.source_rate, report.rate) == ("24000/1001", "48000/1001")
    with open_reader(tmp_path / "out.mkv") as reader:
        for frame in list(reader)[::2]:
            np.testing.assert_array_equal(frame.rgb, pixels(1 + frame.index // 2, "rgb24"))


def test_a_video_becomes_pictures_as_they_are_seen(tmp_path, out, make_video, crossfade):
    source = make_video(count=3, tone_s=0.2, rotation=90)
    report = interpolate_file(source, out / "p%d.png", rule=DOUBLE, interpolator=crossfade)
    assert sorted(path.name for path in out.iterdir()) == [f"p{number}.png" for number in range(1, 7)]
    assert report.dropped == ["audio stream 1 (aac): the output holds pictures alone"]
    with open_reader(source) as reader:
        for frame in reader:
            np.testing.assert_array_equal(load(out / f"p{1 + 2 * frame.index}.png")[1], frame.rgb)
    assert load(out / "p2.png")[1].shape == (64, 48, 3)


def test_ten_bits_become_sixteen(tmp_path, out, crossfade):
    source = odd.video(tmp_path / "a.mkv", 3, codec="ffv1", pix_fmt="yuv444p10le", options={})
    assert interpolate_file(source, out / "%d.png", rule=DOUBLE, interpolator=crossfade).pix_fmt == "rgb48be"
    with open_reader(source) as reader:
        first = next(iter(reader)).samples
    assert np.abs(load(out / "1.png")[1] / 65535 - first).max() < 2e-5


def test_a_variable_rate_needs_a_constant_one(tmp_path, out, crossfade):
    source = odd.video(tmp_path / "a.mkv", 5, codec="mjpeg", pix_fmt="yuvj420p", pts=[0, 1, 4, 5, 9])
    with pytest.raises(UserError, match="holds no times, and the input's rate is variable: give a constant one with"):
        interpolate_file(source, out / "%d.png", rule=DOUBLE, interpolator=crossfade)
    report = interpolate_file(source, out / "%d.png", rule=Rate(Fraction(25)), interpolator=crossfade)
    assert report.frames_out == len(list(out.iterdir())) == 10


def test_holes_are_named(shots):
    path = save(shots, [1, 2, 4, *range(8, 11)])
    with pytest.raises(UserError, match=r"of 1-10, 3, 5-7 are missing: put them there, or renumber$"):
        find_sequence(path, Fraction(24))
    save(shots, [3, 5, 7])
    with pytest.raises(UserError, match=r"of 1-10, 6 is missing"):
        find_sequence(path, Fraction(24))


def test_a_folder_means_the_pictures_in_it(shots):
    save(shots, range(9, 12), name="f%d.png")
    found = find_sequence(shots, Fraction(24))
    assert (found.name, found.first, found.count) == ("f%d.png", 9, 3)
    assert [path.name for path in found.files] == ["f9.png", "f10.png", "f11.png"]
    save(shots, range(1, 3), name="g%d.png")
    with pytest.raises(UserError, match="holds 2 rows of pictures: name one of them"):
        find_sequence(shots, Fraction(24))


def test_what_is_no_row_of_pictures_is_refused(tmp_path, shots):
    save(shots, [1, 2])
    for path, told in [
        (shots / "g_%04d.png", "no picture of this pattern, such as g_0001.png, is in "),
        (tmp_path / "none" / "f_%04d.png", "does not exist"),
    ]:
        with pytest.raises(UserError, match=told):
            find_sequence(path, Fraction(24))
    (shots / "cover.png").touch()
    with pytest.raises(UserError, match="not all of its pictures are numbered"):
        find_sequence(shots, Fraction(24))


def test_a_size_that_changes_and_a_broken_picture_leave_nothing(shots, out, crossfade):
    path = save(shots, range(1, 6))
    os.replace(shots / "f_0005.png", shots / "f_0006.png")
    odd.drawn(0, (64, 48)).save(str(shots / "f_0005.png"))
    with pytest.raises(UserError, match="changes from 22x18 to 64x48"):
        interpolate_file(find_sequence(path, Fraction(24)), out / "%d.png", rule=DOUBLE, interpolator=crossfade)
    assert list(out.iterdir()) == []


def test_pictures_of_an_earlier_run_are_not_mixed_with_new_ones(shots, out, crossfade):
    source = find_sequence(save(shots, range(1, 4)), Fraction(24))
    (out / "g_0077.png").touch()
    with pytest.raises(UserError, match=r"1 such pictures are there, g_0077\.png for one: remove them, or choose"):
        interpolate_file(source, out / "g_%04d.png", rule=DOUBLE, interpolator=crossfade)
    assert len(list(out.iterdir())) == 1


def test_a_pattern_takes_names_that_it_would_make_alone():
    pattern = Pattern.of("f_%03d.png")
    names = ["f_001.png", "f_1.png", "f_0002.png", "f_1000.png", "f_x.png", "g_001.png", "f_003.png.bak"]
    assert pattern.numbers(names) == [1, 1000]
    assert Pattern.of("f_%03d_%d.png") is Pattern.of("f.png") is None
    assert str(Pattern.of("f%d.exr")) == "f%d.exr"


def test_a_sequence_keeps_what_it_is_from_process_to_process(shots):
    source = find_sequence(save(shots, range(3, 6)), Fraction(24))
    again = pickle.loads(pickle.dumps(source))
    assert (str(again), again.first, again.rate, again.files) == (str(source), 3, Fraction(24), source.files)
    assert type(source.parent / "a") is not type(source) or not hasattr(source.parent / "a", "rate")


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (["f_%04d.png", "-o", "out.mp4"], 2, "say how many pictures a second there are with --input-fps"),
        (["f_%04d.png", "-o", "out.mp4", "--input-fps", "x"], 2, "--input-fps must be a number such as 60"),
        (["f_0001.png", "-o", "out.mp4", "--input-fps", "24"], 2, "is one picture: give the pattern of a row, 'f_%04d"),
        (["f_0001.png", "-o", "out.mp4"], 1, "give the pattern ('f_%04d.png' --input-fps 24)"),
        (["f_%04d.png", "-o", "out.png", "--input-fps", "24"], 2, "give a pattern, such as out_%04d.png"),
        (["f_%04d.png", "-o", "o_%d_%d.png", "--input-fps", "24"], 2, "give a pattern, such as o_%04d.png"),
        (["f_%04d.png", "-o", "f_%04d.png", "--input-fps", "24"], 1, "2 such pictures are there"),
        ([".", "-o", "../out"], 1, "of numbered pictures say the rate with --input-fps"),
    ],
)
def test_the_command_line_asks_for_the_rate(shots, asked, code, told, monkeypatch):
    save(shots, [1, 2])
    monkeypatch.chdir(shots)
    run = CliRunner().invoke(cli, ["interpolate", *asked, "--factor", "2"])
    assert run.exit_code == code
    assert told in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert sorted(path.name for path in shots.iterdir()) == ["f_0001.png", "f_0002.png"]


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16be"])
@pytest.mark.parametrize("name", ["h264 out.mp4", "hevc out.mp4", "vp9 out.webm", "av1 out.mkv", "prores out.mov"])
def test_grey_pictures_become_video_of_a_matrix_that_video_has(name, pix_fmt, crossfade, tmp_path):
    codec, name = name.split()
    ramp = np.linspace(0.1, 0.9, 96)[None].repeat(80, axis=0)
    top = np.iinfo(DTYPES[pix_fmt]).max
    native = (ramp * top).astype(np.dtype(DTYPES[pix_fmt]).newbyteorder("="))
    frame = av.VideoFrame.from_ndarray(native, pix_fmt)
    source = pictures.save(tmp_path / "in" / "f_%04d.png", [frame] * 3)
    interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade, codec=codec)
    with open_reader(tmp_path / name) as reader:
        assert reader.info.colour.matrix != 0
        shown = next(iter(reader)).rgb
    assert np.ptp(shown.astype(int), axis=2).max() <= 3
    np.testing.assert_allclose(shown.mean(axis=(0, 2)), 255 * ramp[0], atol=4)
