"""What the command does at cuts, repeats, lost frames and doubtful ones, told by frames that say which they are."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.barcode import Seen, picture, read, write

from .interpolating import interpolate

FIRST, SECOND, LENGTH = range(6), range(600, 606), 6  # numbers of two shots
EDL = """TITLE: two
FCM: NON-DROP FRAME

001  AX       V     C        00:00:00:00 00:00:00:06 01:00:00:00 01:00:00:06
002  AX       V     C        00:01:00:00 00:01:00:06 01:00:00:06 01:00:00:12
"""
CSV = """Timecode List:,00:00:00.250
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds)
1,1,00:00:00.000,0.000,6,00:00:00.250,0.250
2,7,00:00:00.250,0.250,12,00:00:00.500,0.500
"""


def shot(numbers: range, scene: int) -> list:
    return [picture(number, hand=4 + number - numbers[0], scene=scene) for number in numbers]


@pytest.fixture
def film(tmp_path) -> Path:
    return write(tmp_path / "film.mp4", shot(FIRST, 0) + shot(SECOND, 3))


def made(source: Path, target: Path, *how: str | Path) -> list[Seen]:
    run = interpolate(source, "-o", target, "--steps", "0", *how)
    assert run.exit_code == 0, run.output
    return read(target)


@pytest.mark.parametrize("known", ["auto", "edit.edl", "scenes.csv", "list.txt"])
@pytest.mark.parametrize("at_cuts", ["continue", "hold"])
def test_at_a_cut_each_frame_is_of_the_shot_it_is_nearer_to(known, at_cuts, film, tmp_path):
    if known != "auto":
        text = {"edl": EDL, "csv": CSV, "txt": "0.25\n"}[known[-3:]]
        (tmp_path / known).write_text(text)
        known = str(tmp_path / known)
    how = ("--range", "0.17-0.3", "--factor", "4", "--cuts", known, "--at-cuts", at_cuts)
    shown = made(film, tmp_path / "out.mp4", *how)
    assert len(shown) == 12  # the gap with the cut, and one on either side
    before, behind = shown[4:7], shown[7:9]  # up to its middle, and what comes later
    assert {(seen.number, seen.is_clear) for seen in before} == {(5, True)}
    assert {(seen.number, seen.is_clear) for seen in behind} == {(600, True)}


def test_where_cuts_are_told_to_be_none_shots_are_mixed(film, tmp_path):
    """So the test above would see it."""
    shown = made(film, tmp_path / "out.mp4", "--range", "0.17-0.3", "--factor", "4", "--cuts", "off")
    assert any(not seen.is_clear or seen.number not in (5, 600) for seen in shown[5:8])


def test_drawings_on_twos_move_evenly_and_no_shot_reaches_into_the_next(tmp_path):
    twos = [each for each in shot(FIRST, 0) + shot(SECOND, 3) for _ in range(2)]
    source = write(tmp_path / "in.mp4", twos, options={"crf": "20", "bf": "3"})
    shown = made(source, tmp_path / "out.mp4", "--repair", "duplicates", "--factor", "2")
    assert [seen.instant for seen in shown] == [Fraction(index, 48) for index in range(48)]
    for begin, first in ((0, FIRST[0]), (24, SECOND[0])):
        for place, seen in enumerate(shown[begin : begin + 24]):
            drawing = min(place / 4, LENGTH - 1)  # the last one stays until its shot ends
            assert seen.number in (first + int(drawing), first + -int(-drawing // 1))
            if place % 4 == 0:
                assert (seen.number, seen.is_clear) == (first + place // 4, True)
            if place < 20:
                assert seen.hand == pytest.approx(4 + drawing, abs=0.2)


def test_frames_that_a_recorder_lost_are_made_and_the_length_stays(tmp_path):
    kept = [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13]
    source = write(tmp_path / "in.mp4", map(picture, kept), instants=[Fraction(number, 24) for number in kept])
    shown = made(source, tmp_path / "out.mp4", "--repair", "dropped", "--fps", "24")
    assert [seen.instant for seen in shown] == [Fraction(index, 24) for index in range(14)]
    assert [round(seen.hand) for seen in shown] == list(range(14))
    assert [(shown[number].number, shown[number].is_clear) for number in kept] == [(number, True) for number in kept]


@pytest.mark.parametrize("fallback", ["hold", "crossfade"])
def test_what_is_not_sure_is_the_nearer_frame_or_a_cross_fade(fallback, tmp_path):
    source = write(tmp_path / "in.mp4", map(picture, range(5)))
    shown = made(source, tmp_path / "out.mp4", "--factor", "3", "--min-confidence", "1", "--fallback", fallback)
    for place, seen in enumerate(shown[:13]):
        if fallback == "hold" or place % 3 == 0:
            assert (seen.number, seen.is_clear) == (round(place / 3), True)
            assert seen.hand == pytest.approx(round(place / 3), abs=0.1)
        else:
            assert seen.number in (place // 3, place // 3 + 1)


def test_a_preview_has_the_source_held_on_its_left_and_what_is_made_on_its_right(tmp_path):
    source = write(tmp_path / "in.mp4", map(picture, range(12)))
    how = ("--preview", "0.25s", "--range", "0.1-", "--factor", "2")
    run = interpolate(source, "-o", tmp_path / "out.mp4", "--steps", "0", *how)
    assert run.exit_code == 0, run.output
    left, right = (read(tmp_path / "out.mp4", crop) for crop in (lambda rgb: rgb[:, :128], lambda rgb: rgb[:, 128:]))
    assert [seen.number for seen in left] == [2 + place // 2 for place in range(len(left))]
    assert all(seen.is_clear for seen in left)
    for place, seen in enumerate(right):
        assert seen.hand == pytest.approx(2 + place / 2, abs=0.3)


def test_another_take_of_one_moment_leaves_every_other_frame(tmp_path):
    source, target = write(tmp_path / "in.mp4", map(picture, range(8))), tmp_path / "out.mp4"
    before = made(source, target, "--factor", "2")
    run = interpolate(source, "-o", target, "--factor", "2", "--reroll", "0.1", "--seed", "3")
    assert run.exit_code == 0, run.output
    after = read(target)
    assert [(seen.instant, seen.is_clear) for seen in after[::2]] == [(seen.instant, True) for seen in before[::2]]
    assert [seen.number for seen in after[::2]] == list(range(8))
    assert [seen.hand for seen in after] == pytest.approx([seen.hand for seen in before], abs=0.2)


@pytest.mark.parametrize("allowed", [False, True])
def test_of_a_file_cut_short_the_frames_that_are_there_are_in_their_places(allowed, tmp_path):
    source = write(tmp_path / "in.ts", map(picture, range(40)), rate=25)
    data = source.read_bytes()
    source.write_bytes(data[: int(0.6 * len(data) / 188) * 188 + 50])
    how = ["--allow-truncated"] if allowed else []
    run = interpolate(source, "-o", tmp_path / "out.mp4", "--steps", "0", "--factor", "2", *how)
    if not allowed:
        assert run.exit_code == 1
        assert not (tmp_path / "out.mp4").exists()
        return
    assert run.exit_code == 0, run.output
    shown = read(tmp_path / "out.mp4")
    assert 30 < len(shown) < 70
    assert [(seen.number, seen.is_clear) for seen in shown[::2]] == [(index, True) for index in range(len(shown) // 2)]
