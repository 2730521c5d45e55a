"""OpenEXR in and out: kept pictures to the bit, highlights beyond white in made ones, and no other way in or out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.repair import DUPLICATES
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.light import display, frame_of, light_of, linear
from vidcm.media.reader import open_reader

from .pictures import load, save

DOUBLE = Factor(Fraction(2))


def scene(index: int, channels: int = 3) -> np.ndarray:
    """Linear light [H, W, C]: a lamp of 500 before a wall of 0.18, which goes right; a little of it out of gamut."""
    light = np.full((48, 64, channels), 0.18, np.float32)
    light[20:28, 8 + 4 * index : 16 + 4 * index, :3] = (500, 300, 80)
    light[:4, :, 2] = -0.02
    light[..., 3:] = 1
    light[40:] = 0
    return light.astype(np.float16).astype(np.float32)


def exr(path: Path, kind: str, channels: int = 3, numbers=range(3)):
    pix_fmt = "gbrpf32le" if channels == 3 else "gbrapf32le"
    return save(path, [frame_of(scene(number, channels), pix_fmt) for number in numbers], format=kind)


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "%d.exr"


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["half", "float"])
def test_kept_pictures_are_the_same_and_made_ones_have_the_highlights(kind, channels, crossfade, out, tmp_path):
    source = exr(tmp_path / "in" / "%d.exr", kind, channels)
    report = interpolate_file(source, out, rule=DOUBLE, interpolator=crossfade)
    assert (report.codec, report.frames_out) == ("exr", 6)
    for place in range(3):
        before, after = load(source.files[place]), load(Path(str(out) % (1 + 2 * place)))
        assert before.format.name == after.format.name
        assert ("f16" in after.format.name) == (kind == "half")
        np.testing.assert_array_equal(light_of(before), light_of(after))
    made, (first, last) = light_of(load(Path(str(out) % 2))), (scene(0, channels), scene(1, channels))
    middle = linear((display(first[..., :3]) + display(last[..., :3])) / 2)
    np.testing.assert_allclose(made[..., :3], middle, rtol=2e-3, atol=1e-5)
    assert made[24, 13, 0] == pytest.approx(500, rel=2e-3)  # the lamp where it is in both
    np.testing.assert_array_equal(made[..., 3:], last[..., 3:])


def test_what_the_network_sees_is_a_picture_like_any_other(out, tmp_path):
    seen = []

    def look(first, last, taus, **_):
        seen.append(first)
        return first[:, None].expand(-1, len(taus), -1, -1)

    source = exr(tmp_path / "in" / "%d.exr", "half")
    interpolate_file(source, out, rule=DOUBLE, interpolator=look)
    assert seen[0].shape == (6, 48, 64)
    assert 0 <= seen[0][:3].min() <= seen[0][:3].max() <= 1
    assert seen[0][0, 10, 10] == pytest.approx(0.4613, abs=1e-3)  # sRGB of 0.18
    with open_reader(source) as reader:
        frame = next(iter(reader))
        assert tuple(frame.rgb[10, 10]) == (118, 118, 118)
        assert frame.light.max() == 500


def test_no_made_light_is_brighter_than_the_lamp_or_darker_than_what_is_out_of_gamut(out, tmp_path):
    """The layer that the network adds to ends at black and white: 0.09 beyond would be a fifth of a lamp."""

    def crisp(first, last, taus, **_):
        made = first[:, None].repeat(1, len(taus), 1, 1)
        made[:3] += torch.where(made[:3] > 0.5, 0.09, -0.09)
        return made

    source = exr(tmp_path / "in" / "%d.exr", "float")
    interpolate_file(source, out, rule=DOUBLE, interpolator=crisp)
    made, first = light_of(load(Path(str(out) % 2))), scene(0)
    np.testing.assert_allclose(made[first == 500], 500, rtol=1e-5)
    np.testing.assert_allclose(made[first < 0], first[first < 0], rtol=1e-5)
    assert made[10, 10, 0] == pytest.approx(linear(display(first[10, 10, 0]) - 0.09), rel=1e-4)  # between: as it is


@pytest.mark.parametrize("how", [{"repair": frozenset({DUPLICATES})}, {"preview": Fraction(1)}])
def test_repairs_and_previews_are_light_too(how, crossfade, out, tmp_path):
    numbers = [0, 0, 1, 1, 2, 2, 3, 3] if "repair" in how else range(3)
    source = exr(tmp_path / "in" / "%d.exr", "float", numbers=numbers)
    interpolate_file(source, out, rule=DOUBLE, interpolator=crossfade, **how)
    for path in out.parent.iterdir():
        assert light_of(load(path)).max() == pytest.approx(500, rel=1e-3)


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.mp4", "%d.png", "a.y4m"])
def test_light_becomes_no_video_and_the_way_out_is_told(name, crossfade, tmp_path):
    source = exr(tmp_path / "in" / "%d.exr", "half")
    with pytest.raises(UserError, match=r"the input is scene-linear light, which \w+ does not hold: write pictures"):
        interpolate_file(source, tmp_path / name, rule=DOUBLE, interpolator=crossfade)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_video_becomes_no_light(make_video, crossfade, out):
    with pytest.raises(UserError, match=r"OpenEXR holds scene-linear light, which the input is not .use \.png"):
        interpolate_file(make_video(), out, rule=DOUBLE, interpolator=crossfade)
    assert not list(out.parent.iterdir())


def test_light_without_colours_is_refused(crossfade, out, tmp_path):
    grey = av.VideoFrame(64, 48, "grayf32le")
    source = save(tmp_path / "in" / "%d.exr", [grey] * 2, format="float")
    with pytest.raises(UserError, match="the input has no red, green and blue"):
        interpolate_file(source, out, rule=DOUBLE, interpolator=crossfade)


def test_the_command_takes_them(out, tmp_path):
    source = exr(tmp_path / "in" / "%d.exr", "half")
    asked = ["interpolate", str(source), "-o", str(out), "--factor", "2", "--input-fps", "24", "--steps", "0"]
    run = CliRunner().invoke(cli, asked)
    assert run.exit_code == 0, run.stderr
    assert light_of(load(Path(str(out) % 2))).max() > 100
    assert "OpenEXR attributes" in run.stdout + run.stderr
