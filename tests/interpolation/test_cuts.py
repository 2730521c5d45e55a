"""Cuts that are known: three kinds of files, and what becomes of them."""

from fractions import Fraction

import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.cuts import read_cuts
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader
from vidcm.media.timecode import Timecode

TIMES = """# found by eye
0.25
0:00:00.500   # a comment

"""
CSV = """Timecode List:,00:00:00.250,00:00:00.500
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds),Length (frames)
1,1,00:00:00.000,0.000,6,00:00:00.250,0.250,6
2,7,00:00:00.250,0.250,12,00:00:00.500,0.500,6
3,13,00:00:00.500,0.500,24,00:00:01.000,1.000,12
"""
EDL = """TITLE: WALK
FCM: NON-DROP FRAME

001  AX       V     C        00:00:00:00 00:00:00:06 01:00:00:00 01:00:00:06
* FROM CLIP NAME: a.mov
002  AX       AA    C        00:00:00:00 00:00:00:08 01:00:00:00 01:00:00:08
003  AX       V     C        00:10:00:06 00:10:00:12 01:00:00:06 01:00:00:12
004  AX       B     C        00:20:00:12 00:20:00:16 01:00:00:12 01:00:00:16
005  AX       V     D    004 00:30:00:16 00:30:01:00 01:00:00:16 01:00:01:00
"""
FILES = {"times.txt": TIMES, "scenes.csv": CSV, "walk.edl": EDL}


@pytest.fixture
def source(make_video):
    """One second of 24 fps."""
    return make_video(count=24)


def cuts_in(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return read_cuts(tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_all_three_kinds_name_the_same_frames(source, tmp_path, name):
    with open_reader(source) as reader:
        assert cuts_in(tmp_path, name, FILES[name]).indices(reader) == {6, 12}


def test_nothing_is_blended_across_a_known_cut(source, crossfade, tmp_path):
    cuts = cuts_in(tmp_path, "times.txt", "0.25\n0.5")
    report = interpolate_file(
        source, tmp_path / "out.mp4", rule=Factor(Fraction(2)), interpolator=crossfade, cuts=cuts, at_cuts="hold"
    )
    assert report.cuts == [6, 12]
    assert {5, 11}.isdisjoint(position for position, *_ in crossfade.calls)
    assert len(crossfade.calls) == 21
    assert report.frames_made == 21


def test_rounded_times_mean_the_nearest_frame(make_video, tmp_path):
    source = make_video(rate=Fraction(24000, 1001), count=24)
    with open_reader(source) as reader:
        exact = reader.timeline.instants
        text = "\n".join(f"{float(exact[index]):.2f}" for index in (1, 7, 23))
        assert cuts_in(tmp_path, "rounded.txt", text).indices(reader) == {1, 7, 23}


@pytest.mark.parametrize(
    ("timecode", "rate", "count"),
    [
        (Timecode(0, 1, 0, 0), Fraction(24000, 1001), 1440),
        (Timecode(0, 1, 0, 2, is_drop=True), Fraction(30000, 1001), 1800),  # 00:00:59;29 is followed by 00:01:00;02
        (Timecode(0, 10, 0, 0, is_drop=True), Fraction(30000, 1001), 17982),
        (Timecode(1, 0, 0, 0, is_drop=True), Fraction(60000, 1001), 215784),
    ],
)
def test_timecodes_count_frames(timecode, rate, count):
    assert timecode.count(rate) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.25\nhalf\n", "line 2: 'half' is not a time such as"),
        ("0.25 0.5\n", "line 1: '0.25 0.5' is not a time"),
        (CSV.replace("0.250,12", "x,12"), "line 4: 'x' is not a time"),
        ("001 AX A C 00:00:00:00 00:00:00:06 01:00:00:00 01:00:00:06", "no events on a video track"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, text, reason):
    with pytest.raises(UserError, match=reason) as caught:
        cuts_in(tmp_path, "bad.txt", text)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(bytes(range(128, 256)))
    with pytest.raises(UserError, match="is not text: it must be a list of times"):
        read_cuts(tmp_path / "a.txt")


def test_the_list_of_another_video_is_refused(source, crossfade, tmp_path):
    cuts = cuts_in(tmp_path, "times.txt", "0.25\n7.5")
    with pytest.raises(UserError, match=r"7.500 s is not in .*in.mp4, which lasts 1.000 s: is it the list of another"):
        interpolate_file(source, tmp_path / "out.mp4", rule=Factor(Fraction(2)), interpolator=crossfade, cuts=cuts)
    assert not (tmp_path / "out.mp4").exists()


def test_an_empty_list_means_one_shot(source, tmp_path):
    with open_reader(source) as reader:
        assert cuts_in(tmp_path, "none.txt", "\n").indices(reader) == frozenset()
