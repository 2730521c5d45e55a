"""Markers, as OpenTimelineIO reads them: a program that is not ours finds each on the frame that it tells of."""

from fractions import Fraction

import opentimelineio as otio
import pytest
import torch

from vidcm.core.judged import Judged
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.stream import interpolate_file

SCORES = [0.9, 0.3, 0.2, 0.8, 0.1, 0.7, 0.4]  # of the pairs of eight frames
PASSAGES = [(1, 2), (4, 4), (6, 6)]  # the pairs in a row that score less than half
HOUR = 3600  # where an EDL's timeline begins, whole seconds of its own frames

WHOLE = [
    (Fraction(24), Factor(Fraction(2)), Fraction(48)),
    (Fraction(30000, 1001), Rate(Fraction(60)), Fraction(60)),
]
# Its reader of FCPXML takes this for 59.
BROKEN = [(Fraction(24000, 1001), Factor(Fraction(5, 2)), Fraction(60000, 1001))]


def scoring(first, last, taus, *, position, **_):
    score = SCORES[position]
    return Judged(torch.full((3, len(taus), *first.shape[1:]), score), torch.full((len(taus),), score))


@pytest.fixture
def told(make_video, tmp_path):
    """told(rate, rule, ending) -> the report, and for each passage the indices of its first and its last frame."""

    def tell(rate, rule, ending):
        report = tmp_path / f"out{ending}"
        with Ledger(0.5) as ledger:
            source = make_video(rate=rate, count=8)
            done = interpolate_file(source, tmp_path / "out.mp4", rule=rule, interpolator=scoring, ledger=ledger)
            write_report(report, done.as_dict(), ledger)
        frames, step = done.frames_out, rate / rule_rate(rate, rule)
        made = [(index, int(index * step)) for index in range(frames) if (index * step).denominator != 1]
        within = [[index for index, pair in made if first <= pair <= last] for first, last in PASSAGES]
        return report, [(each[0], each[-1]) for each in within]

    return tell


def rule_rate(rate, rule):
    return rule.rate if isinstance(rule, Rate) else rate * rule.factor


def exact(time):
    return Fraction(round(time.value)) / Fraction(time.rate)


@pytest.mark.parametrize(("rate", "rule", "out"), WHOLE)
def test_fcpxml(told, rate, rule, out):
    report, passages = told(rate, rule, ".fcpxml")
    collection = otio.adapters.read_from_file(report)  # what is in it lives as long
    (clip,) = collection.find_clips()
    at = [(exact(each.marked_range.start_time), exact(each.marked_range.duration)) for each in clip.markers]
    assert at == [(first / out, (last + 1 - first) / out) for first, last in passages]
    assert [each.name.partition(",")[0] for each in clip.markers] == [f"confidence 0.{k}0" for k in (2, 1, 4)]


@pytest.mark.parametrize(("rate", "rule", "out"), WHOLE + BROKEN)
def test_edl(told, rate, rule, out):
    report, passages = told(rate, rule, ".edl")
    timeline = otio.adapters.read_from_file(report, rate=float(out))
    begin, found = HOUR * round(out), timeline.find_clips()
    at = [(each.source_range.start_time.value - begin, each.source_range.duration.value) for each in found]
    assert at == [(first, last + 1 - first) for first, last in passages]
    marks = [[each.marked_range.start_time.value - begin for each in clip.markers] for clip in found]
    assert marks == [[first] for first, _ in passages]
