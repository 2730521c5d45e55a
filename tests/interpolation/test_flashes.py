"""A flash is shown at its own instant, and what is made beside it is as dark as what is around."""

import json
from dataclasses import asdict
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
import torch

from tests.interpolation.pictures import save
from tests.interpolation.rendering import Tally, rendering
from vidcm.interpolation.flashes import LEAD
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.reroll import reroll
from vidcm.interpolation.retime import Retiming
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import VideoFrame, open_reader

RATE = 24
DOUBLE = Factor(Fraction(2))
ONE = (40, 42, 44, 200, 48, 50, 52)  # grey values
TWO = (40, 42, 44, 200, 160, 50, 52, 54)


def grey(values) -> list[VideoFrame]:
    pictures = [np.full((4, 6, 3), value, np.uint8) for value in values]
    return [
        VideoFrame(index, Fraction(index, RATE), Fraction(1, RATE), lambda rgb=rgb: rgb)
        for index, rgb in enumerate(pictures)
    ]


def shown(frames, crossfade, rule=DOUBLE, detector=None, lead_in=None, **planned):
    """(instant in frames, grey value, kind) of every output frame, and the tally."""
    tally, told = Tally(), []
    for each, picture, kind, _ in rendering(rule, crossfade, detector, "hold", **planned)(frames, tally, lead_in):
        value = picture.rgb.flat[0] if isinstance(picture, VideoFrame) else picture.flat[0]
        told.append((float(each.instant * RATE), int(value), kind))
    return told, tally


def seen(crossfade) -> list[tuple]:
    """Of each call: where it was made, and the grey values around it and when."""
    return [
        (
            call[0],
            *(None if end is None else round(float(end.max()) * 255) for end in (each.before, each.after)),
            each.lead,
            each.trail,
        )
        for call, each in zip(crossfade.calls, crossfade.around, strict=True)
    ]


class CutTo:
    def __init__(self, value: int) -> None:
        self.value = value

    def is_cut(self, before, after) -> bool:
        return int(after.flat[0]) == self.value


@pytest.mark.parametrize("rule", [DOUBLE, Rate(Fraction(2 * RATE))])
def test_in_betweens_beside_a_flash_are_made_across_it(rule, crossfade):
    told, tally = shown(grey(ONE), crossfade, rule)
    assert [instant for instant, _, _ in told] == [k / 2 for k in range(14)]
    assert [value for _, value, _ in told[:12]] == [40, 41, 42, 43, 44, 45, 200, 47, 48, 49, 50, 51]
    assert [kind for _, _, kind in told[4:9]] == ["source", "made", "flash", "made", "source"]
    assert (tally.flashes, tally.cuts, tally.repeats) == ([3], [], 0)
    assert (tally.frames_in, tally.frames_out, tally.frames_made, tally.end) == (7, 14, 6, Fraction(7, RATE))
    assert [call[0] for call in crossfade.calls] == [0, 1, 2, 2, 4, 5]  # the pair's own key on both sides
    before, across, _, behind = crossfade.around[1:5]
    assert (before.trail, across.lead, across.trail) == (2, Fraction(1, 2), Fraction(1, 2))
    assert behind.lead == 2
    assert round(float(behind.before.flatten()[0]) * 255) == 44  # not the flash


def test_two_frames_may_be_lit_and_darkness_is_a_flash_too(crossfade):
    told, tally = shown(grey(TWO), crossfade)
    assert [value for _, value, _ in told[4:12]] == [44, 45, 200, 47, 160, 49, 50, 51]
    assert [kind for _, _, kind in told[4:11]] == ["source", "made", "flash", "made", "flash", "made", "source"]
    assert tally.flashes == [3, 4]
    told, _ = shown(grey((140, 140, 140, 60, 140, 140)), crossfade)
    assert [value for _, value, _ in told[4:9]] == [140, 140, 60, 140, 140]


@pytest.mark.parametrize(
    "values",
    [
        (40, 42, 44, 200, 200, 200, 50, 52),
        (40, 40, 40, 90, 140, 190, 140, 90),
        (200, 40, 200, 40, 200, 40, 200, 40),
        (40, 42, 44, 200),
    ],
)
def test_what_is_no_flash_is_interpolated_as_ever(values, crossfade):
    told, tally = shown(grey(values), crossfade)
    exact = [(a + b) // 2 for a, b in pairwise(values)]
    assert [value for _, value, kind in told if kind == "made"] == exact
    assert tally.flashes == []


def test_beside_a_cut_nothing_is_taken_for_a_flash(crossfade):
    told, tally = shown(grey(ONE), crossfade, detector=CutTo(48))
    assert (tally.flashes, tally.cuts) == ([], [4])
    assert told[5:8] == [(2.5, 122, "made"), (3, 200, "source"), (3.5, 200, "cut")]


def test_repeats_of_a_flash_are_no_other_flash(crossfade):
    """On twos it lasts two frames; the repeats of those around it give way across it."""
    frames = grey([value for value in ONE for _ in range(2)])
    again = frozenset(frame.instant for frame in frames[1::2])
    told, tally = shown(frames, crossfade, Rate(Fraction(RATE)), retiming=Retiming(again))
    assert [value for _, value, _ in told[:12]] == [40, 41, 42, 43, 44, 45, 200, 47, 48, 49, 50, 51]
    assert tally.flashes == [6]
    assert tally.frames_in == 14


class Jumps:
    """Cuts, wherever light jumps by so many levels; it remembers nothing."""

    def __init__(self, by: int) -> None:
        self.by = by

    def is_cut(self, before, after) -> bool:
        return abs(int(after.flat[0]) - int(before.flat[0])) > self.by


def in_parts(values, begin: int, crossfade, detector=None):
    """What both parts show, their tallies, and of the second one what was made."""
    early = max(0, begin - LEAD)
    first, soon = shown(grey(values), crossfade, detector=detector, stop=Fraction(begin, RATE))
    crossfade.calls.clear(), crossfade.around.clear()
    how = {"number": early, "origin": Fraction(0), "start": Fraction(begin, RATE)}
    lead_in = grey(values)[early - 1] if early else None
    second, late = shown(grey(values)[early:], crossfade, detector=detector, lead_in=lead_in, **how)
    return first + second, soon, late, set(seen(crossfade))


def assert_parts_show_what_the_whole_shows(values, crossfade, detector=None) -> list[int]:
    """Returns the flashes."""
    crossfade.calls.clear(), crossfade.around.clear()
    whole, told = shown(grey(values), crossfade, detector=detector)
    seen_in_whole = set(seen(crossfade))
    for begin in range(1, len(values)):
        parts, soon, late, seen_in_part = in_parts(values, begin, crossfade, detector)
        assert seen_in_part <= seen_in_whole, (begin, values)
        assert parts == whole, (begin, values)
        assert soon.frames_in + late.frames_in == len(values)
        assert (soon.flashes + late.flashes, soon.cuts + late.cuts) == (told.flashes, told.cuts), (begin, values)
    return told.flashes


@pytest.mark.parametrize("values", [ONE + ONE, TWO + TWO])
def test_parts_show_what_the_whole_shows(values, crossfade):
    flashes = assert_parts_show_what_the_whole_shows(values, crossfade)
    assert flashes == [index for index, value in enumerate(values) if value > 100]


@pytest.mark.parametrize("detector", [None, Jumps(60)], ids=["", "that look like cuts"])
@pytest.mark.parametrize(
    ("values", "flashes"),
    [
        ((140, 142, 144, 250, 250, 148, 150, 250, 152, 154), [3, 4, 7]),
        ((140, 140, 250, 250, 141, 140, 250, 250, 141, 140, 250, 140, 140), [2, 3, 6, 7, 10]),
        ((140, 140, 250, 141, 140, 141, 250, 250, 140, 140), [2, 6, 7]),
        ((200, 202, 203, 201, 202, 100, 101, 200, 202, 201, 201, 203), [5, 6]),
        ((200, 202, 203, 201, 202, 100, 200, 202, 201, 202, 100, 101, 203, 201), [5, 10, 11]),
    ],
)
def test_of_flashes_that_follow_one_another_parts_show_what_the_whole_shows(values, flashes, detector, crossfade):
    assert assert_parts_show_what_the_whole_shows(values, crossfade, detector) == flashes


def test_whatever_light_does_parts_show_what_the_whole_shows(crossfade):
    random, flashes = np.random.default_rng(0), 0
    for detector in (None, Jumps(60), Jumps(15)) * 7:
        levels, values = random.choice((20, 60, 100, 118, 140, 180, 250), 2, replace=False), []
        while len(values) < 10:
            values += [int(random.choice(levels))] * int(random.choice((1, 2, 2, 3)))
        values = [min(255, value + int(random.choice((0, 0, 1, 3)))) for value in values]
        flashes += len(assert_parts_show_what_the_whole_shows(values, crossfade, detector))
    assert flashes > 10


@pytest.mark.parametrize(
    ("values", "flashes"),
    [
        ((140, 140, 250, 250, 140, 140, 250, 140, 140, 140), [2, 3, 6]),  # unlit between two flashes
        ((250, 250, 140, 140, 250, 250, 250, 250), []),  # a flash may have been on before
        ((250, 250, 250, 140, 140, 250, 250, 140), [5, 6]),  # or come behind
        ((250, 250, 250, 140, 140, 250, 250, 250), [3, 4]),
        ((250, 250, 250, 140, 140, 250), [3, 4]),  # as far as there are frames
    ],
)
def test_a_shadow_lies_in_light_that_lasts_longer_than_a_flash(values, flashes, crossfade):
    assert shown(grey(values), crossfade)[1].flashes == flashes


def waves(index: int) -> np.ndarray:
    """uint8 RGB [H, W, 3] that drifts, every seventh frame lit."""
    y, x = np.mgrid[0:48, 0:64]
    picture = 70 + 30 * np.stack([np.sin(x / 6 + 0.1 * index), np.cos(y / 5), np.sin((x + y) / 8)], axis=-1)
    return (picture * (2 if index % 7 == 4 else 1)).astype(np.uint8)


@pytest.fixture
def source(tmp_path):
    return save(tmp_path / "in" / "%d.png", [av.VideoFrame.from_ndarray(waves(index), "rgb24") for index in range(14)])


def pictures(path) -> list[bytes]:
    with open_reader(path) as reader:
        return [frame.rgb.tobytes() for frame in reader]


def test_of_a_file_parts_and_takes_are_those_of_the_whole_and_a_report_tells(source, crossfade, tmp_path):
    how = {"rule": DOUBLE, "interpolator": crossfade, "codec": "ffv1"}
    whole, taken = tmp_path / "whole.mkv", tmp_path / "taken.mkv"
    with Ledger() as ledger:
        report = interpolate_file(source, whole, ledger=ledger, **how)
        write_report(tmp_path / "told.json", report.as_dict(), ledger)
        write_report(tmp_path / "told.html", report.as_dict(), ledger)
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["flashes"] == report.flashes == [4, 11]
    assert told["flicker"] < 0.5  # the flash is 70 levels off
    assert [(told["frames"][index]["kind"], told["frames"][index]["sources"]) for index in (7, 8, 9)] == [
        ("made", [3, 5]),
        ("flash", [4]),
        ("made", [3, 5]),
    ]
    assert "2 source frames lit by a flash" in (tmp_path / "told.html").read_text()

    expected = pictures(whole)
    for begin in (3, 4, 5):
        span = parse_range(f"{(begin + 0.1) / RATE:.4f}-0.4")
        interpolate_file(source, taken, span=span, **how)
        made = pictures(taken)
        assert made == expected[2 * begin : 2 * begin + len(made)]

    for at, index in ((3.5, 7), (4.5, 9), (4.2, 9)):
        taken.write_bytes(whole.read_bytes())
        done = reroll(source, taken, Fraction(at / RATE), rule=DOUBLE, interpolator=crossfade, codec="ffv1")
        assert (done.frames_made, pictures(taken)) == (1, expected)
        assert asdict(done)["start_s"] == pytest.approx(index / 48, abs=0.001)


def test_a_take_looks_as_far_behind_as_a_shadow_asks_for(crossfade, tmp_path, monkeypatch):
    """What looks like one in frames 6 and 7 is none, as frame 10 tells: 8 and 9 are lit."""
    monkeypatch.setattr("vidcm.interpolation.overlays.AHEAD", 0)  # it asks for more
    lights = [0.5 if index in (6, 7) or index > 9 else 1 for index in range(14)]
    lit = [av.VideoFrame.from_ndarray((light * waves(0)).astype(np.uint8), "rgb24") for light in lights]
    source, target = save(tmp_path / "lit" / "%d.png", lit), tmp_path / "out.mkv"
    how = {"rule": DOUBLE, "interpolator": crossfade, "codec": "ffv1"}
    assert interpolate_file(source, target, **how).flashes == [8, 9]
    crossfade.around.clear()
    reroll(source, target, Fraction(9, 2 * RATE), **how)
    assert [each.trail for each in crossfade.around] == [1]


def seeded(first, last, taus, *, around, position, shot=0):
    """A cross-fade with the noise of its place, and a hint of what is around."""
    noise = torch.randn(3, len(taus), *first.shape[1:], generator=torch.Generator().manual_seed(position))
    sides = ((around.before, around.lead), (around.after, around.trail))
    hints = [float(end.mean()) * float(when) for end, when in sides if end is not None]
    made = torch.stack([torch.lerp(first, last, tau) for tau in taus], dim=1)
    return (made + 0.05 * noise + 0.02 * sum(hints)).clamp(0, 1)


@pytest.mark.parametrize("light", [2, 0.5])
def test_takes_beside_a_flash_of_two_frames_are_those_of_the_whole(light, tmp_path, monkeypatch):
    """Of the gap before it, those at both of its frames, and the one behind."""
    monkeypatch.setattr("vidcm.interpolation.overlays.AHEAD", 0)  # it asks for more
    lit = [waves(0) * (light if index in (6, 7) else 1) for index in range(12)]
    pictured = [av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24") for picture in lit]
    source, whole, taken = save(tmp_path / "lit" / "%d.png", pictured), tmp_path / "whole.mkv", tmp_path / "taken.mkv"
    how = {"rule": DOUBLE, "interpolator": seeded, "codec": "ffv1"}
    assert interpolate_file(source, whole, **how).flashes == [6, 7]
    for gap in range(4, 10):
        taken.write_bytes(whole.read_bytes())
        assert reroll(source, taken, Fraction(2 * gap + 1, 2 * RATE), **how).frames_made == 1
        assert pictures(taken) == pictures(whole), gap


def test_a_preview_holds_the_flash_on_the_left_alone(source, crossfade, tmp_path):
    target = tmp_path / "out.mkv"
    interpolate_file(source, target, rule=DOUBLE, interpolator=crossfade, codec="ffv1", preview=Fraction(1))
    with open_reader(target) as reader:
        both = [frame.rgb.astype(int) for frame in reader]
    lit = [[half.mean() > 100 for half in np.split(picture, 2, axis=1)] for picture in both[7:11]]
    assert lit == [[False, False], [True, True], [True, False], [False, False]]
    assert len(both) == 28
