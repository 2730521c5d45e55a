"""Reports: a line of JSON for every frame, a page with the worst, markers for an editing program."""

import base64
import json
import re
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.core.judged import Judged
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.edl import timecode
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.page import page
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file

DOUBLE = Factor(Fraction(2))
SCORES = [0.9, 0.3, 0.2, 0.8, 0.1, 0.7, 0.4]  # of the pairs of eight frames


def scoring(first, last, taus, *, position, **_):
    """Grey frames of the score's brightness."""
    score = SCORES[position]
    return Judged(torch.full((3, len(taus), *first.shape[1:]), score), torch.full((len(taus),), score))


def told(source, tmp_path, names, rule=DOUBLE, ledger=None, **options):
    """The reports' texts."""
    target = tmp_path / "out.mp4"
    with ledger or Ledger() as ledger:
        report = interpolate_file(source, target, rule=rule, interpolator=scoring, ledger=ledger, **options)
        for name in names:
            write_report(tmp_path / name, report.as_dict(), ledger)
    return [(tmp_path / name).read_text() for name in names]


def test_json_has_every_frame_with_its_origin_and_score(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.json"])
    report = json.loads(text)
    frames = report["frames"]
    assert len(frames) == report["frames_out"] == 16
    assert [frame["index"] for frame in frames] == list(range(16))
    lumas = [frame["luma"] for frame in frames]
    pulses = [abs(lumas[k] - (lumas[k - 1] + lumas[k + 1]) / 2) for k in range(1, 14, 2)]
    assert report["flicker"] == pytest.approx(sum(pulses) / len(pulses), abs=1e-3)
    assert [Fraction(frame["instant"]) for frame in frames] == [Fraction(k, 48) for k in range(16)]
    assert frames[3] == {
        "index": 3,
        "instant": "1/16",
        "instant_s": 0.0625,
        "sources": [1, 2],
        "tau": "1/2",
        "kind": "made",
        "score": 0.3,
        "luma": pytest.approx(76, abs=0.5),
        "held_at_cut": False,
    }
    assert (frames[2]["sources"], frames[2]["kind"], frames[2]["score"]) == ([1], "source", None)
    assert (frames[15]["sources"], frames[15]["kind"]) == ([7], "end")
    assert [frame["score"] for frame in frames if frame["kind"] == "made"] == pytest.approx(SCORES)


def test_instants_are_those_of_the_output_and_sources_those_of_the_file(make_video, tmp_path):
    """A part of a file, in slow motion."""
    source = make_video(count=8)
    (text,) = told(source, tmp_path, ["out.json"], SlowMotion(Fraction(3)), span=parse_range("0.125-0.25"))
    frames = json.loads(text)["frames"]
    assert [Fraction(frame["instant"]) for frame in frames] == [Fraction(k, 24) for k in range(9)]
    assert [frame["sources"] for frame in frames[:4]] == [[3], [3, 4], [3, 4], [4]]
    assert frames[1]["score"] == pytest.approx(SCORES[3])


def test_what_was_held_is_told_with_the_score_that_was_too_low(make_video, tmp_path):
    source = make_video(count=8)
    (text,) = told(source, tmp_path, ["out.json"], doubt=Doubt(0.5, "crossfade"))
    frames = [frame for frame in json.loads(text)["frames"] if frame["score"] is not None]
    assert [frame["kind"] == "crossfade" for frame in frames] == [score < 0.5 for score in SCORES]


@pytest.mark.parametrize(("doubt", "unsure", "replaced"), [(None, 4, 0), (Doubt(0.25), 2, 2)])
def test_what_is_unsure_is_so_by_one_score_in_all_reports(doubt, unsure, replaced, make_video, tmp_path):
    ledger = Ledger() if doubt is None else Ledger(doubt.least)
    names = ["out.json", "out.html"]
    text, page = told(make_video(count=8), tmp_path, names, ledger=ledger, doubt=doubt)
    report = json.loads(text)
    assert (report["frames_unsure"], report["frames_replaced"]) == (unsure, replaced)
    assert f"{unsure} {'others' if replaced else 'of those made'} score below {ledger.doubtful:g}" in page


def test_frames_held_at_a_cut_are_told(make_video, tmp_path):
    from vidcm.interpolation.cuts import read_cuts

    (listed := tmp_path / "cuts.txt").write_text("0.125\n")
    source = make_video(count=8)
    texts = told(source, tmp_path, ["out.json", "out.html"], cuts=read_cuts(listed), at_cuts="hold")
    held = [frame["index"] for frame in json.loads(texts[0])["frames"] if frame["held_at_cut"]]
    assert held == [5]
    assert "fill='#999'" in texts[1]


def test_the_page_shows_the_worst_first(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.html"], ledger=Ledger(worst=3))
    assert re.findall(r"<b>(0\.\d\d)</b> frame (\d+)", text) == [("0.10", "9"), ("0.20", "5"), ("0.30", "3")]
    pictures = [base64.b64decode(data) for data in re.findall(r"base64,([^']+)'", text)]
    shown = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in pictures]
    assert [picture.shape for picture in shown] == [(48, 64, 3)] * 3
    assert [picture.mean() / 255 for picture in shown] == pytest.approx([0.1, 0.2, 0.3], abs=0.01)
    assert "4 of those made score below 0.5" in text


CLOCKS = {
    "all of it": ({}, "0.250 s to 0.500 s", None),
    "a part": ({"start_s": 0.1}, "0.150 s to 0.400 s", "begins at 0.100 s of the source; source"),
    "slower": ({"times_slower": "5/2"}, "0.625 s to 1.250 s", "is 2.5 times slower; source"),
    "both": (
        {"start_s": 0.1, "times_slower": "2"},
        "0.300 s to 0.800 s",
        "begins at 0.100 s of the source and is 2 times slower; source",
    ),
}


@pytest.mark.parametrize("kind", CLOCKS)
def test_the_page_has_one_clock_the_output_s(kind):
    part, when, told = CLOCKS[kind]
    report = {"target": "out.mp4", "source": "in.mp4", "frames_out": 8, "frames_in": 4, "frames_made": 3}
    report |= {"duration_s": 1.0, "start_s": 0.0, "times_slower": "1", "problems": [], "dropped": []}
    found = {"x": 1, "y": 2, "width": 3, "height": 4, "from_s": 0.25, "to_s": 0.5, "frames": 5}
    with Ledger() as ledger:
        text = "".join(page({**report, "overlays": [found], **part}, ledger))
    assert f"<li>3x4 pixels at 1, 2: {when}, in 5 source frames</li>" in text
    clock = [] if told is None else [f"Times are of the output, which {told} frames count from the source's first."]
    assert re.findall(r"Times are .*? first\.", text) == clock


def test_the_page_tells_frames_that_are_not_shown_from_those_made(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.html"], ledger=Ledger(0.35), doubt=Doubt(0.35))
    made, others = re.search(r"(\d+) made, .* (\d+) others score below 0\.35 and are not shown\.", text).groups()
    assert int(made) + int(others) == 7


def test_of_a_pair_the_worst_in_between_alone_is_on_the_page(make_video, tmp_path):
    (text,) = told(make_video(count=3), tmp_path, ["out.html"], rule=Factor(Fraction(8)))
    assert len(re.findall("<figure>", text)) == 2


def test_the_page_escapes_names(make_video, tmp_path):
    (text,) = told(make_video("<b>&.mp4", count=3), tmp_path, ["out.html"])
    assert "<b>&.mp4" not in text
    assert "&lt;b&gt;&amp;.mp4" in text


def test_markers_are_one_for_each_run_of_doubtful_frames(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.edl"])
    lines = text.splitlines()
    assert lines[:2] == ["TITLE: out", "FCM: NON-DROP FRAME"]
    events = [line for line in lines if re.match(r"\d{3}  001      V     C ", line)]
    assert [event.split()[4:6] for event in events] == [
        ["01:00:00:03", "01:00:00:06"],  # in-betweens 3 and 5, of pairs 1 and 2, and the source frame between them
        ["01:00:00:09", "01:00:00:10"],
        ["01:00:00:13", "01:00:00:14"],
    ]
    assert all(event.split()[4:6] == event.split()[6:8] for event in events)
    assert " |C:ResolveColorRed |M:confidence 0.20, 2 frames |D:3" in lines
    assert "* LOC: 01:00:00:09 RED     confidence 0.10, 1 frame" in lines


def test_markers_are_read_back_as_an_edl(make_video, tmp_path):
    from vidcm.interpolation.cuts import read_cuts

    told(make_video(count=8), tmp_path, ["out.edl"])
    assert len(read_cuts(tmp_path / "out.edl").events) == 3


def test_markers_of_a_limit_are_those_below_it(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.edl"], ledger=Ledger(doubtful=0.15))
    assert text.count("* LOC:") == 1


@pytest.mark.parametrize(
    ("frame", "rate", "expected"),
    [
        (0, Fraction(24), "01:00:00:00"),
        (47, Fraction(24), "01:00:01:23"),
        (30 * 61, Fraction(30000, 1001), "01:01:01:00"),
        (60 * 3600 + 59, Fraction(60), "02:00:00:59"),
    ],
)
def test_timecodes_count_whole_frames(frame, rate, expected):
    assert timecode(frame, rate) == expected


def test_an_output_of_variable_rate_has_markers_at_its_average(make_video, tmp_path):
    instants = [Fraction(0), Fraction(1, 24), Fraction(3, 24), Fraction(4, 24)]
    (text,) = told(make_video(instants=instants), tmp_path, ["out.edl"])
    assert text.count("* LOC:") == 1


def test_a_rate_of_its_own_has_scores_too(make_video, tmp_path):
    (text,) = told(make_video(count=8), tmp_path, ["out.json"], Rate(Fraction(60)))
    frames = json.loads(text)["frames"]
    assert {frame["score"] for frame in frames if frame["sources"] == [2, 3]} == {0.2}


def test_a_report_that_cannot_be_written_leaves_nothing(make_video, tmp_path, monkeypatch):
    report = told(make_video(count=3), tmp_path, ["out.json"])
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = sorted(tmp_path.iterdir())
    with Ledger() as ledger, pytest.raises(UserError, match="cannot be written: No space left"):
        write_report(tmp_path / "second.json", json.loads(report[0]), ledger)
    assert sorted(tmp_path.iterdir()) == before
