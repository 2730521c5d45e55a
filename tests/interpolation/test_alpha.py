"""Transparent video from file to file: alpha moves with its picture, and kept frames stay what they are, alpha too."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidcm.core.judged import Judged
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.repair import DUPLICATES
from vidcm.interpolation.reroll import reroll
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.alpha import alpha_of
from vidcm.media.parts import PartWriter, packets
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector

from .pictures import load, save

DOUBLE = Factor(Fraction(2))
SIZE = WIDTH, HEIGHT = 64, 48
# name, encoder, pixel format
SOURCES = {
    "ProRes 4444": ("in.mov", "prores_ks", "yuva444p10le"),
    "QuickTime RLE": ("in.mov", "qtrle", "argb"),
    "VP9": ("in.webm", "libvpx-vp9", "yuva420p"),
    "FFV1 of 16 bits": ("in.mkv", "ffv1", "yuva422p16le"),
    "FFV1 of RGB": ("in.mkv", "ffv1", "bgra"),
}


def drawn(index: int) -> np.ndarray:
    """uint8 RGBA: a soft red disc that goes right, with green noise under what is transparent."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(x - 16 - 4 * index, y - 24)
    alpha = np.clip(1.25 - distance / 12, 0, 1)
    noise = np.random.default_rng(index).integers(100, 256, (HEIGHT, WIDTH))
    red = np.where(alpha > 0, 230, 0)
    return np.dstack([red, np.where(alpha > 0, 20, noise), np.full_like(red, 30), 255 * alpha]).astype(np.uint8)


def video(path: Path, codec: str, pix_fmt: str, numbers=range(4)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options={"cpu-used": "8"} if "vp9" in codec else {})
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        for index in numbers:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(drawn(index), "rgba").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def shown(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """RGB and alpha, 0..1."""
    with open_reader(path) as reader:
        return [(frame.rgb / 255, frame.alpha) for frame in reader]


def natives(path: Path) -> list[list[bytes]]:
    with open_reader(path) as reader:
        return [[bytes(plane) for plane in frame.native.planes] for frame in reader]


@pytest.mark.parametrize("kind", SOURCES)
def test_kept_frames_are_untouched_and_made_ones_have_the_alpha_between(kind, crossfade, tmp_path):
    name, *how = SOURCES[kind]
    source, target = video(tmp_path / name, *how), tmp_path / "out.mkv"
    report = interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec="ffv1")
    before, after = natives(source), natives(target)
    if kind != "QuickTime RLE":  # argb is written as bgra: the same samples in another order
        assert after[::2] == before
    given, made = shown(source), shown(target)
    for (_, old), (_, new) in zip(given, made[::2], strict=True):
        np.testing.assert_array_equal(old, new)
    for (_, first), (_, middle), (_, last) in zip(given, made[1::2], given[1:], strict=False):
        np.testing.assert_allclose(middle, (first + last) / 2, atol=0.0021)
    colour, alpha = made[1]
    is_seen = alpha > 0.3
    assert np.abs(colour[is_seen] - np.array([230, 20, 30]) / 255).max() < 0.12  # of shared chroma; green is 0.6 off
    assert not [line for line in report.dropped if line.startswith("alpha")]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "close"),
    [
        ("out.mov", None, "yuva444p10le", 0.01),
        ("out.webm", None, "yuva420p", 0.1),
        ("out.mkv", "vp9", "yuva420p", 0.1),
        ("out.mkv", None, "bgra", 0.002),
    ],
)
def test_every_codec_that_can_keeps_alpha(name, codec, pix_fmt, close, crossfade, tmp_path):
    source = video(tmp_path / "in.mkv", "ffv1", "bgra")
    report = interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade, codec=codec, quality=None)
    assert report.pix_fmt == pix_fmt
    given, made = shown(source), shown(tmp_path / name)
    assert len(made) == 8
    for place, (_, alpha) in enumerate(made[:7]):
        wanted = (given[place // 2][1] + given[(place + 1) // 2][1]) / 2
        assert np.abs(alpha - wanted).mean() < close / 2
        assert np.abs(alpha - wanted).max() < 2 * close


@pytest.mark.parametrize(("deep", "kind"), [(False, "rgba"), (True, "rgba64be")])
def test_pictures_in_and_out(deep, kind, crossfade, tmp_path):
    frames = [av.VideoFrame.from_ndarray(drawn(index), "rgba") for index in range(3)]
    source = save(tmp_path / "in" / "%d.png", [frame.reformat(format=kind) for frame in frames])
    (tmp_path / "out").mkdir()
    report = interpolate_file(source, tmp_path / "out" / "%d.png", rule=DOUBLE, interpolator=crossfade)
    assert (report.pix_fmt, report.dropped) == (kind, [])
    for place in range(3):
        before, after = load(source.files[place]), load(tmp_path / "out" / f"{1 + 2 * place}.png")
        np.testing.assert_array_equal(before.to_ndarray(), after.to_ndarray())
    ends = [alpha_of(load(source.files[place])) for place in (0, 1)]
    np.testing.assert_allclose(alpha_of(load(tmp_path / "out" / "2.png")), sum(ends) / 2, atol=0.0021)


@pytest.mark.parametrize(("kind", "top"), [("rgba", 255), ("rgba64be", 65535)])
def test_colours_under_what_is_transparent_are_those_of_the_frames_around(kind, top, crossfade, tmp_path):
    """Blue under all, then red, for an opaque white square that moves on: without alpha nothing flickers."""
    given, frames = kind.replace("be", "le"), []
    for index in range(3):
        rgba = np.zeros((48, 64, 4), np.uint8 if top == 255 else np.uint16)
        rgba[..., 2 if index < 2 else 0] = top
        rgba[16:32, 8 + 16 * index : 24 + 16 * index] = top
        frames.append(av.VideoFrame.from_ndarray(rgba, given).reformat(format=kind))
    source = save(tmp_path / "in" / "%d.png", frames)
    (tmp_path / "out").mkdir()
    interpolate_file(source, tmp_path / "out" / "%d.png", rule=Factor(Fraction(4)), interpolator=crossfade)
    for number, blue in ((2, 1), (4, 1), (6, 0.75), (8, 0.25)):
        made = load(tmp_path / "out" / f"{number}.png").reformat(format=given).to_ndarray()
        unseen = made[made[..., 3] == 0][:, :3]
        assert len(unseen) == 64 * 48 - 32 * 16
        assert np.abs(unseen - np.array([(1 - blue) * top, 0, blue * top])).max() <= 1


def test_a_codec_without_alpha_says_so_and_which_has_it(crossfade, tmp_path):
    source = video(tmp_path / "in.mkv", "ffv1", "yuva444p")
    report = interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    (line,) = [line for line in report.dropped if line.startswith("alpha")]
    assert "prores in .mov, vp9 in .webm, ffv1 in .mkv and .png keep it" in line
    with open_reader(tmp_path / "out.mp4") as reader:
        assert next(iter(reader)).alpha is None


@pytest.mark.parametrize(("name", "codec"), [("out.webm", "vp9"), ("out.mkv", "ffv1")])
def test_what_is_made_again_has_alpha(name, codec, crossfade, tmp_path):
    source, target = video(tmp_path / "in.mkv", "ffv1", "yuva420p"), tmp_path / name
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec=codec)
    before = shown(target)

    def opaque(first, last, taus, **_):
        made = crossfade(first, last, taus)
        made[3] = 1
        return made

    reroll(source, target, Fraction(3, 48), rule=DOUBLE, interpolator=opaque, codec=codec)
    after = shown(target)
    assert after[3][1].min() > 0.9
    for place in (0, 1, 2, 4, 5, 6):
        assert np.abs(after[place][1] - before[place][1]).mean() < 0.01


def test_what_stands_for_a_duplicate_has_alpha(crossfade, tmp_path):
    source = video(tmp_path / "in.mkv", "ffv1", "bgra", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    repair = frozenset({DUPLICATES})
    report = interpolate_file(source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, repair=repair)
    assert report.repeats > 0
    for index, (_, alpha) in enumerate(shown(tmp_path / "out.mkv")[4:12]):
        assert 0.05 < alpha.mean() < 0.3, index


def test_what_changes_unseen_is_no_cut_and_no_frame(crossfade, tmp_path):
    """Red under what is transparent, then green: nothing that anybody would see."""
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgra"
        for index in range(4):
            rgba = drawn(index)
            rgba[rgba[..., 3] == 0, :3] = (255, 0, 0) if index % 2 else (0, 255, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format="bgra")))
        container.mux(stream.encode(None))

    def unsure(first, last, taus, **_):
        return Judged(crossfade(first, last, taus), torch.zeros(len(taus)))

    how = {"rule": DOUBLE, "interpolator": unsure, "detector": CutDetector()}
    with Ledger() as ledger:
        report = interpolate_file(tmp_path / "in.mkv", tmp_path / "out.mkv", ledger=ledger, **how)
    assert report.cuts == []
    assert report.frames_made == ledger.doubtful_count == 3


def test_a_preview_of_transparent_video_is_transparent(crossfade, tmp_path):
    source = video(tmp_path / "in.mkv", "ffv1", "bgra")
    interpolate_file(source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, preview=Fraction(1))
    given, made = shown(source), shown(tmp_path / "out.mkv")
    np.testing.assert_allclose(made[0][1], np.hstack([given[0][1]] * 2), atol=1e-6)
    np.testing.assert_allclose(made[1][1], np.hstack([given[0][1], (given[0][1] + given[1][1]) / 2]), atol=0.0021)


def test_what_lies_beside_a_packet_comes_back_from_a_part(tmp_path):
    with av.open(str(video(tmp_path / "in.webm", "libvpx-vp9", "yuva420p"))) as container:
        given = [packet for packet in container.demux(video=0) if packet.size]
        with PartWriter(tmp_path / "part") as part:
            part.add(given)
            part.finish()
    found = list(packets(tmp_path / "part", Fraction(1, 1000)))
    kind = "matroska_block_additional"
    assert [bytes(each.get_sidedata(kind)) for each in found] == [bytes(each.get_sidedata(kind)) for each in given]
    assert all(each.has_sidedata(kind) for each in found)
