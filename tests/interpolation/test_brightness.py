"""Flicker of made frames against the source frames around them, and what the way to the encoder adds."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from vidcm.interpolation.brightness import flicker, level_of
from vidcm.interpolation.ledger import Entry
from vidcm.interpolation.pictures import to_bytes, to_floats
from vidcm.interpolation.seen import seen_of
from vidcm.media.colour import Colour, Converter
from vidcm.media.light import display
from vidcm.media.reader import VideoFrame


def entries(*told: tuple[str, float | None]) -> list[Entry]:
    """Source frames are numbered as they come; those made lie between two of them."""
    found, number = [], -1
    for index, (kind, level) in enumerate(told):
        number += kind != "made"
        found.append(Entry(index, Fraction(index, 48), number, number + 1, Fraction(0), kind, None, level))
    return found


def test_it_is_the_distance_to_what_lies_in_between():
    brighter = entries(("source", 100), ("made", 102.3), ("source", 104), ("made", 103.9), ("source", 104))
    assert flicker(brighter) == pytest.approx(0.2)
    third = entries(("source", 90), ("made", 91), ("made", 92), ("source", 93))
    assert flicker(third) == pytest.approx(0)


def test_nothing_is_compared_across_a_cut_behind_the_end_or_without_levels():
    cut = entries(("source", 10), ("made", 50), ("cut", 200), ("made", 9), ("source", 200), ("made", 3), ("end", 200))
    assert flicker(cut) is None
    assert flicker(entries(("source", None), ("made", None), ("source", None))) is None


def test_beside_a_flash_they_are_compared_with_what_is_around_it():
    lit = entries(("source", 100), ("made", 102), ("flash", 200), ("made", 99), ("source", 100), ("made", 100))
    assert flicker(lit) == pytest.approx(1.5)


def test_where_few_source_frames_are_shown_the_scene_may_have_changed_between():
    """At 25 to 60 fps every fifth is shown, at 24 to 60 every second one; on threes a made frame has both its ends."""
    shown = entries(*(told for level in (100, 120, 140, 120, 100) for told in (("source", level), ("made", level + 1))))
    assert flicker([each for each in shown if each.kind == "made" or each.index in (0, 8)]) is None
    assert flicker([each for each in shown if each.kind == "made" or each.index % 4 == 0]) is not None
    threes = [Entry(k, Fraction(k, 24), *ends, Fraction(0), kind, None, 100 + k) for k, kind, ends in THREES]
    assert flicker(threes) == pytest.approx(0)


THREES = [(0, "source", (0, 3)), (1, "made", (0, 3)), (2, "made", (0, 3)), (3, "source", (3, 6))]


def test_a_picture_has_one_level_at_any_depth():
    made = torch.rand(3, 1, 40, 60, generator=torch.Generator().manual_seed(0))
    eight, deep = to_bytes(made)[0], to_floats(made)[0]
    assert level_of(eight) == pytest.approx(level_of(deep), abs=0.02)
    assert level_of(np.full((8, 8, 3), 7, np.uint8)) == pytest.approx(7)


@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_rounding_and_conversion_leave_made_frames_as_bright_as_they_are(matrix):
    """Eight-bit codes of limited range are 219 of 255 grey levels apart; what is lost on the way is no bias."""
    rng = np.random.default_rng(matrix)
    rgb = np.clip(128 + 40 * rng.normal(size=(256, 256, 1)) + 12 * rng.normal(size=(256, 256, 3)), 0, 255)
    eight = to_bytes(torch.from_numpy(rgb / 255).permute(2, 0, 1)[:, None])[0]
    frame = Converter(Colour(matrix=matrix, range=1), 256, 256).from_rgb(eight, "yuv420p")
    codes = np.frombuffer(frame.planes[0], np.uint8).reshape(256, -1)[:, :256].mean()
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    exact = 16 + 219 / 255 * (rgb @ np.array([red, 1 - red - blue, blue])).mean()
    assert codes == pytest.approx(exact, abs=0.03)


def test_transparent_pictures_and_light_are_as_bright_as_they_are_seen():
    garbage = np.random.default_rng(0).random((8, 8, 3), np.float32)
    cover = np.zeros((8, 8), np.float32)
    cover[2:6] = 0.5
    made = np.dstack([garbage * (cover > 0)[..., None], cover])
    source = VideoFrame(0, Fraction(0), Fraction(1), lambda: None, deep=lambda: garbage, cover=lambda: cover)
    source.rgb = np.rint(garbage * 255).astype(np.uint8)
    assert level_of(seen_of(made, "rgba64le")) == pytest.approx(level_of(seen_of(source, "rgba64le")), abs=0.3)

    grey = np.full((8, 8, 3), 0.18, np.float32)  # what middle grey reflects
    shown = VideoFrame(0, Fraction(0), Fraction(1), lambda: None, deep=lambda: display(grey), light=lambda: grey)
    assert level_of(seen_of(grey, "gbrpf32le")) == pytest.approx(level_of(seen_of(shown, "gbrpf32le")))
    assert level_of(seen_of(grey, "gbrpf32le")) == pytest.approx(118, abs=1)
