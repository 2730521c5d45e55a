"""`--preview`: a stretch of the file, the source frames held on the left and what would be made on the right."""

from fractions import Fraction

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.preview import stretch_of
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.span import parse_preview, parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

LOSSLESS = {"codec": "ffv1"}
TWICE = Factor(Fraction(2))


def pictures(path) -> list[np.ndarray]:
    with open_reader(path) as reader:
        return [frame.rgb.astype(int) for frame in reader]


def halves(path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    shown = pictures(path)
    width = shown[0].shape[1] // 2
    return [one[:, :width] for one in shown], [one[:, width:] for one in shown]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


ROUNDING = 3  # levels: RGB to YUV 4:2:0 and back


@pytest.mark.parametrize("rule", [TWICE, Rate(Fraction(60)), SlowMotion(Fraction(5, 2))], ids=["x2", "60", "slow"])
def test_the_left_holds_what_the_right_is_made_from(rule, make_video, crossfade, tmp_path):
    source = make_video(count=12)
    whole, preview = tmp_path / "whole.mkv", tmp_path / "preview.mkv"
    interpolate_file(source, whole, rule=rule, interpolator=crossfade, **LOSSLESS)
    report = interpolate_file(source, preview, rule=rule, interpolator=crossfade, preview=Fraction(5), **LOSSLESS)
    assert (report.width, report.height) == (128, 48)
    left, right = halves(preview)
    assert len(left) == report.frames_out == len(pictures(whole))
    assert max(map(apart, right, pictures(whole))) < ROUNDING
    originals = pictures(source)
    with open_reader(preview) as reader:
        shown = [
            int(frame.instant / rule.stretch * 24 + Fraction(1, 20)) for frame in reader
        ]  # Matroska's milliseconds
    held = [originals[index] for index in shown]
    assert max(map(apart, left, held)) < ROUNDING
    assert max(map(apart, right, held)) > 2 * ROUNDING


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_left_is_left_as_it_is_seen(rotation, make_video, crossfade, tmp_path):
    source = make_video(count=4, rotation=rotation)
    report = interpolate_file(
        source, tmp_path / "out.mp4", rule=TWICE, interpolator=crossfade, preview=Fraction(5), quality="best"
    )
    assert (report.width, report.height) == ((64, 96) if rotation in (90, 270) else (128, 48))
    left, right = halves(tmp_path / "out.mp4")
    upright = pictures(source)
    assert apart(left[1], upright[0]) < 2 * ROUNDING < apart(right[1], upright[0])


def test_a_part_of_the_preview_is_what_the_whole_run_makes(make_video, crossfade, tmp_path):
    source = make_video(count=24)
    interpolate_file(source, tmp_path / "whole.mkv", rule=TWICE, interpolator=crossfade, **LOSSLESS)
    how = {"rule": TWICE, "interpolator": crossfade, "preview": Fraction(1, 4), **LOSSLESS}
    report = interpolate_file(source, tmp_path / "middle.mkv", **how)
    assert (report.start_s, report.frames_in, report.duration_s) == (0.375, 6, 0.25)
    _, right = halves(tmp_path / "middle.mkv")
    assert max(map(apart, right, pictures(tmp_path / "whole.mkv")[18:30])) < ROUNDING


@pytest.mark.parametrize(
    ("span", "length", "start", "end"),
    [
        (None, "1/2", Fraction(1, 4), Fraction(3, 4)),  # the middle of one second
        (None, "3", 0, None),  # no more than there is
        (None, "1/1000", Fraction(999, 2000), Fraction(13, 24)),  # two frames at least, from the 11th on
        ("0.25-", "1/4", Fraction(1, 4), Fraction(1, 2)),
        ("0.25-0.375", "1/2", Fraction(1, 4), Fraction(3, 8)),
        ("0.75-", "1", Fraction(3, 4), None),
    ],
)
def test_it_is_the_middle_or_where_the_range_begins(span, length, start, end, make_video):
    with open_reader(make_video(count=24)) as reader:
        found = stretch_of(reader, span and parse_range(span), Fraction(length))
    assert (found.start, found.end) == (start, end)


def test_a_range_behind_the_end_is_still_told_as_one(make_video, crossfade, tmp_path):
    how = {"rule": TWICE, "interpolator": crossfade, "preview": Fraction(1), "span": parse_range("9-")}
    with pytest.raises(UserError, match="--range 9- begins after the end"):
        interpolate_file(make_video(), tmp_path / "out.mp4", **how)


def test_times_may_end_in_an_s():
    assert [parse_preview(text) for text in ("5s", "2.5", "1:30")] == [5, Fraction(5, 2), 90]
    for text in ("0", "-1", "soon", "s", "0s", ""):
        with pytest.raises(UserError, match="--preview must be a time above 0"):
            parse_preview(text)
