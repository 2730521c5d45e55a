"""Alpha beside colours: read, kept by every codec that has a place for it, and never mixed with what it hides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.media.alpha import alpha_of, laid, lifted, samples_of
from vidcm.media.choice import choose
from vidcm.media.colour import Colour, Converter
from vidcm.media.deep import depth_of
from vidcm.media.encoders import ENCODERS
from vidcm.media.light import is_light
from vidcm.media.reader import open_reader

RAMP = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(48, axis=0)
FORMATS = sorted({name for encoder in ENCODERS.values() for name in encoder.alpha if not is_light(name)})


@pytest.mark.parametrize("pix_fmt", [*FORMATS, "argb", "abgr", "gbrap", "rgba64be", "yuva444p10be"])
def test_alpha_goes_in_and_comes_out_to_the_code(pix_fmt):
    rgba = np.dstack([np.full((48, 64, 3), 0.5, np.float32), RAMP])
    frame = Converter(Colour(), 64, 48).from_rgb(rgba, pix_fmt.replace("be", "le"))
    frame = frame if frame.format.name == pix_fmt else frame.reformat(format=pix_fmt)
    top = 2 ** depth_of(pix_fmt) - 1
    np.testing.assert_allclose(alpha_of(frame), RAMP, atol=0.5001 / top)
    assert (samples_of(frame)[0, 0], samples_of(frame)[0, -1]) == (0, top)


@pytest.mark.parametrize(
    ("before", "after"), [("rgba", "yuva444p10le"), ("yuva444p12le", "yuva444p10le"), ("argb", "rgba")]
)
def test_a_source_frame_keeps_alpha_on_its_way_to_another_format(before, after):
    rgba = np.dstack([np.full((48, 64, 3), (0.2, 0.5, 0.8), np.float32), RAMP])
    converter = Converter(Colour(1, 1), 64, 48)
    frame = converter.convert(converter.from_rgb(rgba, before), after)
    np.testing.assert_allclose(alpha_of(frame), RAMP, atol=0.003)
    np.testing.assert_allclose(converter.to_deep_rgb(frame)[24, 32], (0.2, 0.5, 0.8), atol=0.004)


def test_what_is_laid_down_is_lifted_again_where_it_can_be_seen():
    rgb = np.random.default_rng(0).random((48, 64, 3), np.float32)
    rgba = lifted(laid(rgb, RAMP))
    np.testing.assert_allclose(rgba[..., 3], RAMP, atol=1e-6)
    np.testing.assert_allclose(rgba[:, 4:, :3], rgb[:, 4:], atol=1e-4)


def test_colours_under_what_is_transparent_do_not_bleed():
    """Half and half of a red disc and of nothing with green under it is red, half there."""
    alpha = np.zeros((2, 48, 64), np.float32)
    alpha[0, 16:32, 16:32] = 1
    rgb = np.zeros((48, 64, 3), np.float32)
    rgb[..., 1] = 1
    rgb[16:32, 16:32] = (1, 0, 0)
    mixed = lifted((laid(rgb, alpha[0]) + laid(rgb, alpha[1])) / 2)
    np.testing.assert_allclose(mixed[20, 20], (1, 0, 0, 0.5), atol=1e-6)
    np.testing.assert_allclose(mixed[14, 20, :3], (1, 0, 0), atol=1e-3)  # hidden, and near
    assert np.isfinite(mixed).all()


@pytest.fixture
def info(make_clip):
    with open_reader(make_clip(count=1)) as reader:
        known = replace(reader.info, width=640, height=360)
    return lambda pix_fmt, **fields: replace(known, pix_fmt=pix_fmt, bit_depth=depth_of(pix_fmt), **fields)


@pytest.mark.parametrize(
    ("name", "codec", "source", "written"),
    [
        ("a.mov", None, "yuva444p12le", ("prores", "yuva444p10le")),
        ("a.mov", None, "rgba", ("prores", "yuva444p10le")),
        ("a.mkv", None, "yuva444p12le", ("ffv1", "yuva444p12le")),
        ("a.mkv", None, "yuva420p", ("vp9", "yuva420p")),
        ("a.webm", None, "rgba", ("vp9", "yuva420p")),
        ("a.webm", None, "yuva444p12le", ("vp9", "yuva420p")),
        ("a.webm", None, "yuva444p10le", ("vp9", "yuva420p")),  # not av1, which would keep its depth alone
        ("a.webm", "av1", "yuva444p10le", ("av1", "yuv420p10le")),
        ("a.mkv", "vp9", "yuva422p16le", ("vp9", "yuva420p")),
        ("a.mov", None, "yuva444p16le", ("prores", "yuva444p10le")),
        ("f_%d.png", None, "rgba64be", ("png", "rgba64be")),
        ("f_%d.png", None, "yuva420p", ("png", "rgba")),
        ("f_%d.png", None, "ya16be", ("png", "ya16be")),
        ("a.mp4", None, "rgba", ("h264", "yuv420p")),
        ("a.mp4", "vp9", "rgba", ("vp9", "yuv420p")),  # MP4 has no place for it
    ],
)
def test_the_codec_that_keeps_alpha_comes_first(info, name, codec, source, written):
    fields = {"codec": "prores"} if source == "yuva444p12le" else {}
    choice = choose(Path(name), info(source, **fields), codec)
    assert (choice.codec, choice.pix_fmt) == written
    told = [note for note in choice.notes if note.startswith("alpha")]
    ways = "prores in .mov, vp9 in .webm, ffv1 in .mkv and .png keep it"
    assert told == ([] if choice.has_alpha else [f"alpha: {written[0]} pictures are written without it ({ways})"])


@pytest.mark.parametrize(("name", "codec", "holds"), [("a.webm", "vp9", 8), ("a.mov", "prores", 10)])
def test_what_alpha_costs_of_the_depth_is_named(info, name, codec, holds):
    notes = choose(Path(name), info("yuva444p12le")).notes
    assert f"depth: {codec} with alpha is written with {holds} bits, the input has 12" in notes


def test_depth_without_alpha_is_still_refused(info):
    with pytest.raises(UserError, match="webm files do not hold 12 bits"):
        choose(Path("a.webm"), info("yuv444p12le"))
    with pytest.raises(UserError, match="av1 holds 10 bits here, the input has 12"):
        choose(Path("a.webm"), info("yuva444p12le"), "av1")
