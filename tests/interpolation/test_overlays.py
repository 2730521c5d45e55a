"""What stands still in front of moving pictures: known ahead, held in what is made, the same wherever one begins."""

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.interpolation.rendering import Tally, rendering
from vidcm.interpolation import in_place, relay
from vidcm.interpolation.in_place import held_still
from vidcm.interpolation.overlays import AHEAD, Overlays
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.relay import begin_for
from vidcm.interpolation.reroll import reroll
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.overlays import OverlayFinder
from vidcm.media.reader import read_clip

from .titles import RATE, STEP, fades, frames_of, ground, letters, moves, picture, write

BLOCK = 48  # frames, here
TEXT = (slice(80, 105), slice(40, 160))


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(relay, "BLOCK", BLOCK)
    monkeypatch.setattr(relay, "WARM", 16)


def made(frames, overlays: Overlays | None, interpolator=moves) -> dict[Fraction, np.ndarray]:
    """Planned position, counted in source frames -> the frame made there."""
    renderer = rendering(Factor(Fraction(2)), interpolator, overlays=overlays)
    watched = overlays.watch(frames) if overlays else frames
    shown = renderer(watched, Tally())
    return {each.planned.source + each.planned.tau: each.shown for each in shown if each.is_made}


def error(shown: np.ndarray, wanted: np.ndarray, where=TEXT) -> float:
    return float(np.abs(shown[where].astype(float) - wanted[where]).mean())


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_a_title_stays_in_its_place_and_the_ground_beside_it_moves(opacity):
    frames = frames_of([picture(index, opacity=opacity) for index in range(14)])
    kept, dragged = made(frames, Overlays()), made(frames, None)
    for place in (Fraction(1, 2), Fraction(13, 2), Fraction(23, 2)):
        wanted = picture(float(place), opacity=opacity)
        assert error(kept[place], wanted) < 0.5 * error(dragged[place], wanted)
        above = (slice(0, 60), slice(0, 200))
        np.testing.assert_array_equal(kept[place][above], dragged[place][above])


def test_a_subtitle_is_shown_until_the_next_and_never_mixed_with_it():
    pictures = [picture(index, "TITLE" if index < 10 else "OTHER") for index in range(20)]
    kept = made(frames_of(pictures), Overlays())
    for place, text in ((Fraction(17, 2), "TITLE"), (Fraction(19, 2), "TITLE"), (Fraction(21, 2), "OTHER")):
        wanted = {each: error(kept[place], picture(float(place), each)) for each in ("TITLE", "OTHER")}
        assert min(wanted, key=wanted.get) == text
        assert 1.4 * wanted[text] < max(wanted.values())


def test_where_nothing_stands_still_every_frame_is_what_it_was_without():
    pictures = [ground(STEP * index).round().astype(np.uint8) for index in range(12)]
    overlays, plain = Overlays(), made(frames_of(pictures), None)
    for place, shown in made(frames_of(pictures), overlays).items():
        np.testing.assert_array_equal(shown, plain[place])
    assert overlays.found(Fraction(0)) == []


@pytest.mark.parametrize("begin", [BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 31, 2 * BLOCK - 8, 2 * BLOCK])
def test_a_part_that_is_told_its_past_is_judged_just_as_in_the_whole(begin):
    """Where nothing has come to rest yet, and in the middle of things; titles change now and then."""
    pictures = [picture(index, text=f"LINE {index // 37}") for index in range(2 * BLOCK + 12)]
    whole, part = Overlays(), Overlays()
    known = {frame.index: whole.of(frame) for frame in whole.watch(frames_of(pictures))}
    lead_in, *frames = frames_of(pictures[begin - 1 :], begin - 1)
    start = begin_for(begin - 1)
    past = lambda first: frames_of(pictures[start:begin], start)  # noqa: E731
    assert sum(each is not None for each in known.values()) > 0.8 * len(known)
    for frame in part.watch(frames, lead_in, past):
        np.testing.assert_array_equal(part.of(frame), known[frame.index])
    np.testing.assert_array_equal(part.of(lead_in), known[begin - 1])


@pytest.mark.parametrize("begin", [BLOCK - 1, BLOCK, BLOCK + 31, 2 * BLOCK - 8])
@pytest.mark.parametrize("late", [0, 1])
def test_on_twos_a_part_is_judged_just_as_in_the_whole(begin, late):
    """Finders take over at the first frame of a picture, and at the second."""
    pictures = [picture(index // 2, text=f"LINE {index // 37}") for index in range(late, 2 * BLOCK + 12 + late)]
    whole, part, start = Overlays(), Overlays(), begin_for(begin)
    known = {frame.index: whole.of(frame) for frame in whole.watch(frames_of(pictures))}
    assert sum(each is not None for each in known.values()) > 0.7 * len(known)
    past = lambda first: frames_of(pictures[start:begin], start)  # noqa: E731
    for frame in part.watch(frames_of(pictures[begin:], begin), None, past):
        np.testing.assert_array_equal(part.of(frame), known[frame.index])


def test_on_twos_a_title_is_known_a_picture_late_at_most():
    def known_from(each: int) -> int:
        """The picture from which on a title is known that the tenth shows first."""
        frames = frames_of(
            [picture(index // each, "TITLE" if index >= 10 * each else "") for index in range(20 * each)]
        )
        overlays = Overlays()
        return next(frame.index for frame in overlays.watch(frames) if overlays.of(frame) is not None) // each

    assert known_from(1) == 10
    assert known_from(2) <= 11


def test_a_picture_that_changes_slowly_is_no_picture_that_is_shown_again():
    """Half a grey level a frame, as in a fade at 60 frames a second: every other one is another picture."""
    seen = []

    class Counting(OverlayFinder):
        def add(self, luma):
            seen.append(luma)
            return super().add(luma)

    watched, every_other = relay.Relay(Counting), np.indices((90, 160)).sum(0) % 2
    for index in range(20):  # before the next finder begins
        watched.add(index, (60 + (index + every_other) // 2).astype(np.uint8))
    assert len(seen) == 10


@pytest.mark.parametrize("place", [5, BLOCK - 3])
def test_a_frame_that_is_put_in_takes_nothing_away(place):
    """Frames of `--repair` have no index of their own."""
    pictures = [picture(index, text=f"LINE {index // 19}") for index in range(BLOCK - 1)]
    plain, frames = frames_of(pictures), frames_of(pictures)
    frames[place].index = -1
    one, other = Overlays(), Overlays()
    wanted = [one.of(frame) for frame in one.watch(plain)]
    for known, each in zip([other.of(frame) for frame in other.watch(frames)], wanted, strict=True):
        np.testing.assert_array_equal(known, each)


def test_a_line_is_shown_until_the_next_one_and_never_mixed_with_it():
    frames = frames_of([picture(index, "FIRST" if index < 12 else "OTHER") for index in range(24)])
    shown = made(frames, Overlays())[Fraction(23, 2)]
    letter = letters("FIRST")[TEXT][..., 0] > 0.9
    only = letter & (letters("OTHER")[TEXT][..., 0] < 0.1)
    gone = (letters("OTHER")[TEXT][..., 0] > 0.9) & (letters("FIRST")[TEXT][..., 0] < 0.1)
    assert np.median(shown[TEXT][only]) > 240
    assert np.median(shown[TEXT][gone]) < 190


def test_few_frames_wait():
    waiting, most = 0, 0

    def frames():
        nonlocal waiting, most
        for frame in frames_of([picture(index) for index in range(30)]):
            waiting += 1
            most = max(most, waiting)
            yield frame

    for _ in Overlays().watch(frames()):
        waiting -= 1
    assert most == AHEAD + 1


def test_it_is_told_where_overlays_were_and_when():
    overlays = Overlays()
    list(overlays.watch(frames_of([picture(index) if index < 12 else picture(index, "") for index in range(24)])))
    (found,) = overlays.found(Fraction(0))
    assert 34 <= found.x <= 46
    assert 76 <= found.y <= 90
    assert 60 <= found.width <= 110
    assert 10 <= found.height <= 34
    assert found.from_s == 0
    assert found.to_s == pytest.approx(11 / RATE, abs=1e-3)
    assert found.frames == 12


def test_only_what_is_shown_is_told_of():
    overlays = Overlays(Fraction(5, RATE), Fraction(9, RATE))
    list(overlays.watch(frames_of([picture(index) for index in range(24)])))
    (found,) = overlays.found(Fraction(0))
    assert (found.frames, found.from_s, found.to_s) == (4, round(5 / RATE, 3), round(8 / RATE, 3))


def test_of_a_file_the_report_says_where_and_a_part_or_another_take_shows_what_the_whole_does(tmp_path):
    source = write(tmp_path / "in.mkv", [picture(index) for index in range(40)])
    how = {"rule": Factor(Fraction(2)), "interpolator": moves, "overlays": True, "codec": "ffv1"}
    whole, part = tmp_path / "whole.mkv", tmp_path / "part.mkv"
    (found,) = interpolate_file(source, whole, **how).overlays
    assert found["frames"] == 40
    assert interpolate_file(source, tmp_path / "plain.mkv", **{**how, "overlays": False}).overlays == []
    (found,) = interpolate_file(source, part, span=parse_range("1-1.25"), **how).overlays
    assert (found["frames"], found["from_s"], found["to_s"]) == (6, 1, round(29 / RATE, 3))
    pictures, _ = read_clip(whole)
    plain, _ = read_clip(tmp_path / "plain.mkv")
    assert error(pictures[51], picture(25.5)) < 0.5 * error(plain[51], picture(25.5))
    np.testing.assert_allclose(read_clip(part)[0][1:8:2].astype(int), pictures[49:56:2].astype(int), atol=2)
    reroll(source, tmp_path / "plain.mkv", Fraction(51, 48), **how)
    np.testing.assert_allclose(read_clip(tmp_path / "plain.mkv")[0][51].astype(int), pictures[51].astype(int), atol=2)


@pytest.mark.parametrize("band", [1, 7 * 90, 2**18])
def test_in_bands_of_any_height_the_same_is_held(band, monkeypatch):
    random = torch.Generator().manual_seed(0)
    first, last, made = (torch.rand(shape, generator=random) for shape in ((3, 50, 90), (3, 50, 90), (3, 2, 50, 90)))
    overlays = [np.zeros((25, 40), np.float32) for _ in range(2)]
    overlays[0][8:14, 5:30], overlays[1][10:20, 5:20] = 1, 0.4
    monkeypatch.setattr(in_place, "BAND", band)
    shown = held_still(made.clone(), [0.2, 0.7], (first, last), overlays)
    weights = [
        (F.interpolate(torch.from_numpy(each)[None, None], size=(50, 90), mode="bilinear")[0, 0] / 0.5).clamp(max=1)
        for each in overlays
    ]
    total = torch.maximum(*weights)
    torch.testing.assert_close(shown[:, :, total == 0], made[:, :, total == 0], rtol=0, atol=0)
    alone = (weights[0] == 1) & (weights[1] == 0)
    assert alone.any()
    torch.testing.assert_close(shown[:, 1][:, alone], first[:, alone])
    assert (shown - made)[:, :, total == 1].abs().mean() > 0.1


def test_what_shines_through_is_blended_by_nearness_and_what_comes_or_goes_is_held():
    first, last, made = (torch.full((3, 1, 1), level) for level in (0.2, 0.3, 0.9))
    there, taus = np.ones((1, 1), np.float32), [0.25]

    def shown(ends, overlays):
        return held_still(made[:, None].clone(), taus, ends, overlays)[:, 0]

    torch.testing.assert_close(shown((first, last), (there, there)), torch.full((3, 1, 1), 0.225))
    another = torch.full((3, 1, 1), 0.6)
    torch.testing.assert_close(shown((first, another), (there, there)), first)
    for overlays in ((there, None), (None, there)):
        torch.testing.assert_close(shown((first, last), overlays), first)
    torch.testing.assert_close(shown((None, last), (None, there)), last)
    torch.testing.assert_close(shown((first, last), (None, None)), made)


@pytest.mark.parametrize("still", [True, False])
def test_before_ground_at_rest_a_line_is_shown_until_the_next_one_too(still):
    """What is shown is one or the other, to the sample, though nothing there moves; a pause is nobody's line."""
    pictures = [picture(0 if still else index, "TITLE" if index < 12 else "OTHER") for index in range(24)]
    overlays = Overlays()
    shown = made(frames_of(pictures), overlays, fades)
    if still:
        np.testing.assert_array_equal(shown[Fraction(23, 2)][TEXT], pictures[11][TEXT])
        assert overlays.found(Fraction(0)) == []  # what stands before ground at rest is not told from it
    letter = (letters("TITLE")[TEXT][..., 0] > 0.9) & (letters("OTHER")[TEXT][..., 0] < 0.1)
    assert shown[Fraction(23, 2)][TEXT][letter].mean() > 230
    assert made(frames_of(pictures), None, fades)[Fraction(23, 2)][TEXT][letter].mean() < 220


def test_ground_between_two_that_move_is_none_before_or_after_one_passes_in_front():
    """As between a juggler's arm and body."""

    def shown(index: int) -> np.ndarray:
        edge, picture, moving = 88 + min(12, max(0, 4 * (index - 13))), ground(0).copy(), ground(300)
        for place in (np.s_[:, 40:edge], np.s_[:, 112:160]):
            picture[place] = np.roll(moving, 3 * index, axis=0)[place]
        return picture.round().clip(0, 255).astype(np.uint8)

    overlays = Overlays()
    for frame in overlays.watch(frames_of([shown(index) for index in range(24)])):
        assert overlays.of(frame) is None


def test_what_is_held_from_a_frame_on_is_not_held_until_it():
    """Else the ground around a line that is about to go would stop a frame early."""

    class Known(Overlays):
        def until(self, frame):
            return np.ones((12, 20), np.float32) if frame.index == 5 else None

    frames = frames_of([ground(STEP * index).round().astype(np.uint8) for index in range(12)])
    plain, shown = made(frames, None), made(frames, Known())
    np.testing.assert_array_equal(shown[Fraction(11, 2)], frames[5].rgb)
    for place in (Fraction(9, 2), Fraction(13, 2)):
        np.testing.assert_array_equal(shown[place], plain[place])


@pytest.mark.parametrize("opacity", [0.5, 1.0])
def test_a_thin_line_stays_in_its_place_where_something_passes_behind_it_under_a_fixed_camera(opacity):
    passes = slice(50, 65)

    def lined(index: int) -> np.ndarray:
        shown = ground(0)
        shown[passes] = 1.5 * ground(STEP * index)[passes] - 60
        shown[10:110, 100] += opacity * (250 - shown[10:110, 100])
        return shown.clip(0, 255).round().astype(np.uint8)

    pictures = [lined(index) for index in range(12)]
    for place, shown in made(frames_of(pictures), Overlays()).items():
        ends = (pictures[round(float(place) + by)][passes, 100, 0] / 2 for by in (-0.5, 0.5))
        assert np.abs(shown[passes, 100, 0] - sum(ends)).mean() < 3
