import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, PlannedFrame, Rate, gaps, parse_factor, parse_rate, plan
from vidcm.interpolation.slow_motion import SlowMotion

FILM, NTSC_FILM, NTSC_60 = Fraction(24), Fraction(24000, 1001), Fraction(60000, 1001)


@dataclass(frozen=True)
class Source:
    instant: Fraction
    duration: Fraction


def constant(rate: Fraction, count: int, start: Fraction = Fraction(0)) -> list[Source]:
    return [Source(start + i / rate, 1 / rate) for i in range(count)]


def variable(instants: Sequence[Fraction], last: Fraction) -> list[Source]:
    ends = [*instants[1:], instants[-1] + last]
    return [Source(a, b - a) for a, b in zip(instants, ends, strict=True)]


def brief(frames: Sequence[PlannedFrame]) -> list[tuple[int, Fraction]]:
    return [(frame.source, frame.tau) for frame in frames]


def test_24_to_60_repeats_its_pattern_of_five_every_two_source_frames():
    frames = list(plan(Rate(Fraction(60)), constant(FILM, 5)))
    fifths = [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3), (2, 0), (2, 2), (2, 4), (3, 1), (3, 3), (4, 0), (4, 0), (4, 0)]
    assert brief(frames) == [(source, Fraction(tau, 5)) for source, tau in fifths]
    assert [frame.instant for frame in frames] == [Fraction(k, 60) for k in range(13)]


def test_ntsc_film_to_ntsc_60_is_the_same_pattern_on_its_own_clock():
    frames = list(plan(Rate(NTSC_60), constant(NTSC_FILM, 5)))
    assert brief(frames) == brief(list(plan(Rate(Fraction(60)), constant(FILM, 5))))
    assert [frame.instant for frame in frames] == [k / NTSC_60 for k in range(13)]


def test_ntsc_film_to_a_whole_60_meets_every_400th_source_frame():
    frames = list(plan(Rate(Fraction(60)), constant(NTSC_FILM, 2001)))
    met = [frame for frame in frames if frame.tau == 0 and frame.source < 2000]
    assert [frame.source for frame in met] == [0, 400, 800, 1200, 1600]  # 400 frames last 1001/60 s
    assert all(frame.instant == Fraction(k, 60) for k, frame in enumerate(frames))


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("rate", [FILM, NTSC_FILM])
def test_a_whole_factor_of_a_constant_rate_is_a_constant_rate(factor, rate):
    frames = list(plan(Factor(Fraction(factor)), constant(rate, 7, start=Fraction(3, 7))))
    assert [frame.instant for frame in frames] == [Fraction(3, 7) + k / (rate * factor) for k in range(7 * factor)]
    assert [frame.source for frame in frames if frame.tau == 0][:7] == list(range(7))
    assert [frame.tau for frame in frames[:factor]] == [Fraction(k, factor) for k in range(factor)]


def test_variable_instants_keep_their_place_and_in_betweens_are_evenly_spaced():
    instants = [Fraction(n, 25) for n in (0, 1, 4, 5)]
    frames = list(plan(Factor(Fraction(3)), variable(instants, last=Fraction(3, 25))))
    in_75ths = [0, 1, 2, 3, 6, 9, 12, 13, 14, 15, 18, 21]  # the tail is as slow as its own duration
    assert [frame.instant for frame in frames] == [Fraction(n, 75) for n in in_75ths]
    assert brief(frames)[-3:] == [(3, 0)] * 3


def test_a_variable_source_becomes_a_constant_rate():
    instants = [Fraction(n, 25) for n in (0, 1, 4, 5)]
    frames = list(plan(Rate(Fraction(25)), variable(instants, last=Fraction(1, 25))))
    assert brief(frames) == [(0, 0), (1, 0), (1, Fraction(1, 3)), (1, Fraction(2, 3)), (2, 0), (3, 0)]


def test_five_halves_of_film_is_the_same_as_60():
    source = constant(FILM, 24)
    assert list(plan(Factor(Fraction(5, 2)), source)) == list(plan(Rate(Fraction(60)), source))


def test_a_lower_rate_drops_frames():
    assert brief(list(plan(Rate(Fraction(12)), constant(FILM, 5)))) == [(0, 0), (2, 0), (4, 0)]


def test_the_last_frame_is_held_for_its_own_duration():
    source = [Source(Fraction(0), Fraction(1, 10)), Source(Fraction(1, 10), Fraction(1, 2))]
    frames = list(plan(Rate(Fraction(10)), source))
    assert brief(frames) == [(0, 0)] + [(1, 0)] * 5


@pytest.mark.parametrize("seed", range(60))
def test_any_source_under_any_rule_is_covered_once_in_order_to_its_end(seed):
    draw = random.Random(seed)
    instants = [Fraction(draw.randint(-50, 50), 90000)]
    for _ in range(draw.randint(0, 30)):
        instants.append(instants[-1] + Fraction(draw.randint(1, 9000), draw.choice([1000, 90000, 24000])))
    source = variable(instants, last=Fraction(draw.randint(1, 9000), 90000))
    whole = draw.randint(2, 9)
    rate = Fraction(draw.choice([24, 25, 30, 60, 120]) * 1000, draw.choice([1000, 1001]))
    rule = draw.choice([Factor(Fraction(whole)), Factor(Fraction(2 * whole + 1, 2)), Rate(rate)])
    frames, end = list(plan(rule, source)), source[-1].instant + source[-1].duration

    assert frames[0] == PlannedFrame(instants[0], 0, Fraction(0))
    assert all(a.instant < b.instant for a, b in pairwise(frames))
    assert frames[-1].instant < end
    for frame in frames:
        assert 0 <= frame.tau < 1
        first = source[frame.source]
        if frame.source < len(source) - 1:
            assert frame.instant == first.instant + frame.tau * first.duration
        else:
            assert frame.tau == 0
            assert first.instant <= frame.instant
    if isinstance(rule, Rate):
        assert [frame.instant - instants[0] for frame in frames] == [k / rate for k in range(len(frames))]
        assert frames[-1].instant + 1 / rate >= end  # nothing is missing at the end
        shown = {frame.instant: frame for frame in frames}
        for index, frame in enumerate(source):  # what coincides with a source frame is that frame
            assert frame.instant not in shown or shown[frame.instant].tau == 0 == shown[frame.instant].source - index
    elif rule.factor.denominator == 1:
        assert len(frames) == len(source) * rule.factor
        kept = [frame.instant for frame in frames if frame.tau == 0][: len(source)]
        assert kept == instants


def test_gaps_look_one_frame_ahead_and_no_further():
    taken = []

    def frames():
        for source in constant(FILM, 10):
            taken.append(source.instant)
            yield source

    walk = gaps(frames())
    next(walk), next(walk)
    assert len(taken) == 3


def test_no_frames_make_no_gaps():
    assert list(gaps([])) == []


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60", Fraction(60)),
        ("24000/1001", NTSC_FILM),
        ("23.976", NTSC_FILM),
        ("23.98", NTSC_FILM),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", NTSC_60),
        ("59.9400599", NTSC_60),
        ("119.88", Fraction(120000, 1001)),
        ("24.0", Fraction(24)),
        ("24.00", Fraction(24)),
        ("12.5", Fraction(25, 2)),
        ("23.97", Fraction(2397, 100)),
        (" 50 ", Fraction(50)),
    ],
)
def test_rates_are_read_as_editors_write_them(text, rate):
    assert parse_rate(text).rate == rate


@pytest.mark.parametrize("text", ["0", "0.0", "-24", "nan", "inf", "fast", "", "1/0", "24/", "1e999999999", "1001"])
def test_a_rate_that_is_none_says_so_in_one_line(text):
    with pytest.raises(UserError, match=r"^--fps must be .*(try|such as)"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "factor"), [("2", 2), ("8", 8), ("2.5", Fraction(5, 2)), ("5/2", Fraction(5, 2))])
def test_factors_are_read_exactly(text, factor):
    assert parse_factor(text).factor == factor


@pytest.mark.parametrize("text", ["1", "0", "-2", "1.99", "3/2", "nan", "inf", "two", "", "2x", "1e9", "65"])
def test_a_factor_that_is_none_says_so_in_one_line(text):
    with pytest.raises(UserError, match=r"^--factor must be"):
        parse_factor(text)


@pytest.mark.parametrize("rule", [Factor(3), Rate(25), SlowMotion(3)])
def test_plain_numbers_are_divided_as_exactly_as_fractions(rule):
    number = next(iter(vars(rule).values()))
    assert isinstance(number, Fraction)
    exact, source = type(rule)(Fraction(number)), constant(FILM, 5)
    assert list(plan(rule, source)) == list(plan(exact, source))
    assert all(isinstance(step, Fraction) for step in rule.steps(Fraction(1, 24)))
