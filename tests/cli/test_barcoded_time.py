"""Every frame of an output is the one that its instant asks for, seen behind the codecs, by the command itself."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.barcode import Seen, picture, read, write

from .interpolating import interpolate

NTSC = Fraction(24000, 1001)
COUNT = 12


def made(source: Path, target: Path, *how: str) -> list[Seen]:
    run = interpolate(source, "-o", target, "--steps", "0", *how)
    assert run.exit_code == 0, run.output
    return read(target)


def check(shown: list[Seen], tick: Fraction | int, *, first: int = 0, count: int = COUNT, places: float = 0) -> None:
    """Whether each frame shows what it should. tick: source frames in a second of the output; places: how far instants
    are rounded, in source frames."""
    for seen in shown:
        expected = min(first + (seen.instant - shown[0].instant) * tick, Fraction(first + count - 1))
        assert seen.hand == pytest.approx(float(expected), abs=0.2 + places), seen
        assert seen.number in (expected.__floor__(), expected.__ceil__(), round(expected)), seen
        if abs(expected - round(expected)) <= places:
            assert (seen.number, seen.is_clear) == (round(expected), True)


@pytest.mark.parametrize(
    ("rate", "name", "how", "step"),
    [
        (Fraction(24), "out.mp4", ("--fps", "60"), Fraction(1, 60)),
        (NTSC, "out.mp4", ("--fps", "60"), Fraction(1, 60)),
        (NTSC, "out.mov", ("--factor", "5/2"), Fraction(1001, 60000)),
        (Fraction(25), "out.mp4", ("--fps", "12"), Fraction(1, 12)),
    ],
)
def test_film_becomes_another_rate_and_each_frame_is_of_its_instant(rate, name, how, step, tmp_path):
    source = write(tmp_path / "in.mp4", map(picture, range(COUNT)), rate=rate)
    shown = made(source, tmp_path / name, *how)
    assert [seen.instant for seen in shown] == [index * step for index in range(-(-COUNT / rate // step))]
    check(shown, rate)


def test_matroska_rounds_times_and_nothing_else(tmp_path):
    source = write(tmp_path / "in.mkv", map(picture, range(COUNT)), rate=NTSC)
    shown = made(source, tmp_path / "out.mkv", "--factor", "3")
    assert len(shown) == 3 * COUNT
    assert all(abs(seen.instant - index / (3 * NTSC)) <= Fraction(1, 1000) for index, seen in enumerate(shown))
    check(shown, NTSC, places=float(NTSC / 1000))


UNEVEN = [Fraction(n, 60) for n in (0, 1, 2, 4, 9, 10, 13, 14, 15, 22, 24, 25, 26, 27, 31, 33)]  # as phones record


@pytest.fixture
def phone(tmp_path) -> Path:
    """At instants that are not even the hand stands where the time is: 30 of its steps are a second."""
    frames = [picture(index, hand=float(30 * at)) for index, at in enumerate(UNEVEN)]
    return write(tmp_path / "phone.mp4", frames, rate=60, instants=UNEVEN)


def check_uneven(shown: list[Seen], begin: Fraction = Fraction(0)) -> None:
    for seen in shown:
        at = begin + seen.instant
        before = max(index for index, each in enumerate(UNEVEN) if each <= at)
        assert seen.number in (before, before + 1)
        assert seen.hand == pytest.approx(float(30 * min(at, UNEVEN[-1])), abs=0.35)
        if at in UNEVEN:
            assert (seen.number, seen.is_clear) == (before, True)


def test_a_variable_rate_keeps_every_source_frame_at_its_own_instant(phone, tmp_path):
    shown = made(phone, tmp_path / "out.mp4", "--factor", "2")
    assert [seen.instant for seen in shown[::2]] == UNEVEN
    assert [2 * seen.instant for seen in shown[1:-1:2]] == [before + after for before, after in pairwise(UNEVEN)]
    check_uneven(shown)


def test_a_variable_rate_made_even_shows_even_motion(phone, tmp_path):
    shown = made(phone, tmp_path / "out.mp4", "--fps", "50")
    assert {after.instant - before.instant for before, after in pairwise(shown)} == {Fraction(1, 50)}
    check_uneven(shown)


@pytest.mark.parametrize("how", [("--factor", "2"), ("--fps", "60")], ids=" ".join)
def test_a_part_of_it_is_that_part(how, phone, tmp_path):
    shown = made(phone, tmp_path / "out.mp4", "--range", "0.2-0.42", *how)
    check_uneven(shown, UNEVEN[5])  # the one that is shown at 0.2 s
    assert shown[0].instant == 0
    assert UNEVEN[5] + shown[-1].instant < UNEVEN[11]
    assert len(shown) == (12 if how[0] == "--factor" else 15)


def test_what_an_edit_list_hides_is_not_shown(tmp_path):
    whole = write(tmp_path / "whole.mp4", map(picture, range(20)), rate=25)
    with av.open(str(whole)) as given, av.open(str(tmp_path / "in.mp4"), "w") as container:
        copy = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                shift = round(Fraction(7, 25) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                container.mux(packet)
    shown = made(tmp_path / "in.mp4", tmp_path / "out.mp4", "--factor", "2")
    assert [seen.instant for seen in shown] == [Fraction(index, 50) for index in range(26)]
    check(shown, 25, first=7, count=13)


def test_a_late_start_stays_and_slow_motion_shows_every_instant(tmp_path):
    late = [Fraction(3 + index, 24) for index in range(COUNT)]
    source = write(tmp_path / "in.mp4", map(picture, range(COUNT)), instants=late)
    shown = made(source, tmp_path / "out.mp4", "--slow-motion", "5/2")
    assert shown[0].instant == Fraction(5, 2) * late[0]
    assert {after.instant - before.instant for before, after in pairwise(shown)} == {Fraction(1, 24)}
    assert len(shown) == 30
    check(shown, Fraction(48, 5))
