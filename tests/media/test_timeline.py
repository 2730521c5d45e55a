"""Exact instants from rounded timestamps, and time bases that hold a plan."""

from fractions import Fraction

import numpy as np
import pytest

from vidcm.media.timeline import STANDARD_RATES, Timeline, common_time_base, recognise, settle

MS = Fraction(1, 1000)
NTSC = Fraction(30000, 1001)


def rounded(rate: Fraction, count: int, tick: Fraction = MS, start: Fraction = Fraction(0)) -> list[Fraction]:
    return [round((start + index / rate) / tick) * tick for index in range(count)]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50)])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(7, 3000), Fraction(1234567, 1000)])
def test_a_standard_rate_is_recognised_from_milliseconds(rate, start):
    instants = rounded(rate, 100, start=start)
    clock = recognise(instants, MS)
    assert clock.rate == rate
    assert [clock.exact(instant) for instant in instants] == [instants[0] + index / rate for index in range(100)]


@pytest.mark.parametrize("rate", STANDARD_RATES)
def test_every_standard_rate_is_recognised_from_a_fine_time_base(rate):
    assert recognise(rounded(rate, 50, Fraction(1, 90000)), Fraction(1, 90000)).rate == rate


def test_few_frames_go_by_what_the_container_declares():
    """Five frames at 30 and at 29.97 fps read 0, 33, 67, 100, 133 alike."""
    instants = rounded(NTSC, 5)
    assert instants == rounded(Fraction(30), 5)
    assert recognise(instants, MS, declared=[NTSC]).rate == NTSC
    assert recognise(instants, MS, declared=[Fraction(30)]).rate == 30


def test_a_wrong_claim_of_the_container_is_not_believed():
    assert recognise(rounded(Fraction(24), 60), MS, declared=[Fraction(25), Fraction(1000)]).rate == 24


def test_truncated_milliseconds_are_recognised_too():
    instants = [int(index / NTSC / MS) * MS for index in range(100)]
    assert recognise(instants, MS).rate == NTSC


def test_left_out_frames_leave_the_lattice_but_not_a_constant_rate():
    kept = [instant for index, instant in enumerate(rounded(Fraction(25), 60)) if index % 7]
    clock = recognise(kept, MS)
    assert clock.rate is None
    assert clock.step == Fraction(1, 25)


def test_a_free_rate_is_taken_at_its_word():
    rng = np.random.default_rng(0)
    instants = [Fraction(int(ms), 1000) for ms in np.cumsum(rng.integers(9, 60, 100))]
    clock = recognise(instants, MS)
    assert clock.rate is None
    assert [clock.exact(instant) for instant in instants] == instants


@pytest.mark.parametrize("seed", range(10))
def test_a_few_free_instants_are_not_bent_to_a_dense_lattice(seed):
    """Any four milliseconds lie near multiples of 1/240 s."""
    steps = np.random.default_rng(seed).permutation([17, 25, 39, 58])
    instants = [Fraction(int(ms), 1000) for ms in np.cumsum(steps)]
    clock = recognise(instants, MS)
    assert clock.rate is None
    assert [clock.exact(instant) for instant in instants] == instants


def test_an_unusual_but_even_rate_is_constant():
    clock = recognise([Fraction(index * 37, 1000) for index in range(30)], MS)
    assert clock.rate == Fraction(1000, 37)


def test_a_later_change_of_rate_is_not_bent_to_the_lattice():
    clock = recognise(rounded(Fraction(25), 50), MS)
    assert clock.exact(Fraction(10_013, 1000)) == Fraction(10_013, 1000)


def test_a_file_that_doubles_its_rate_is_recognised_from_all_of_it():
    sample, later = recognise(rounded(Fraction(30), 50), MS), rounded(Fraction(60), 50, start=Fraction(50, 30))
    clock = settle(sample, rounded(Fraction(30), 50) + later, later[-1] + Fraction(17, 1000), MS)
    assert (clock.rate, clock.step, clock.loose) == (None, Fraction(1, 60), 0)


def test_a_free_end_leaves_the_lattice_to_the_frames_that_are_on_it():
    even, free = rounded(NTSC, 50), [Fraction(ms, 1000) for ms in (1651, 1680, 1722, 1740)]
    clock = settle(recognise(even, MS), even + free, free[-1], MS)
    assert clock.rate is None
    assert clock.steps == (1 / NTSC, MS)
    assert [clock.exact(instant) for instant in even + free] == [index / NTSC for index in range(50)] + free


def test_a_last_frame_that_ends_early_loosens_the_steps_and_not_the_rate():
    even = rounded(Fraction(30), 50)
    clock = settle(recognise(even, MS), even, even[-1] + Fraction(7, 1000), MS)
    assert (clock.rate, clock.loose) == (30, MS)
    assert settle(recognise(even, MS), even, even[-1] + Fraction(33, 1000), MS).loose == 0


def test_one_frame_is_a_clip_too():
    clock = recognise([Fraction(5)], MS)
    assert clock.exact(Fraction(5)) == 5
    assert Timeline.of([Fraction(5)], Fraction(1, 2)).duration_of(0) == Fraction(1, 2)


def test_durations_run_to_the_next_frame_and_the_last_has_its_own():
    timeline = Timeline.of([Fraction(0), Fraction(1, 10), Fraction(3, 10)], Fraction(1, 2))
    assert [*map(timeline.duration_of, range(3))] == [Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
    assert (timeline.duration, timeline.rate) == (Fraction(4, 5), None)
    assert timeline.average_rate == Fraction(15, 4)
    assert Timeline.of([Fraction(0), Fraction(1, 10), Fraction(3, 10)]).end == Fraction(1, 2)


def test_a_constant_timeline_knows_its_rate():
    assert Timeline.of([index / NTSC for index in range(9)]).rate == NTSC


def test_instants_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="rise"):
        Timeline.of([Fraction(0), Fraction(0)])


@pytest.mark.parametrize(
    ("spans", "base"),
    [
        ((Fraction(0), 1 / NTSC / 3), Fraction(1, 90000)),
        ((Fraction(1, 24), Fraction(1, 60)), Fraction(1, 120)),
        ((Fraction(1, 15360) / 4,), Fraction(1, 61440)),
        ((Fraction(3, 2), Fraction(1001, 60000)), Fraction(1, 60000)),
    ],
)
def test_the_time_base_holds_every_span_exactly(spans, base):
    assert common_time_base(*spans) == base
    assert all((span / common_time_base(*spans)).denominator == 1 for span in spans)


def test_a_time_base_beyond_32_bits_becomes_the_flick():
    base = common_time_base(Fraction(1, 10**9 + 7), Fraction(1, 64))
    assert base == Fraction(1, 705_600_000)
    assert all((1 / rate / base).denominator == 1 for rate in STANDARD_RATES)
