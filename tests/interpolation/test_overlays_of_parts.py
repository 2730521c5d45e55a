"""With overlays kept still, a part of a file and the share of a process are what the whole shows there, to the bit."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.two_processes import in_two_processes, succeeded
from vidcm.interpolation import relay, segments
from vidcm.interpolation.done import Report
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

from .titles import RATE, moves, picture, write

ROOT = Path(__file__).parents[2]
SWING = 90  # frames after which the ground moves back
SHARE = """
import sys
from fractions import Fraction
from pathlib import Path
from tests.interpolation.test_overlays_of_parts import interpolated
from vidcm.core.processes import launched
from vidcm.interpolation import segments
segments.FRAMES = segments.LEAST_FRAMES = 8
how = {"codec": "h264", "settings": lambda: {"IN": "this"}, "processes": launched()}
interpolated(*map(Path, sys.argv[1:]), **how)
"""


def titled(path: Path, count: int, *, each: int = 1, lasts: int = 37) -> Path:
    """Lines of text before ground that swings; `each`: frames that show one picture."""
    shown = (index // each for index in range(count))
    return write(path, (picture(min(at % SWING, SWING - at % SWING), f"LINE {at // lasts}") for at in shown))


def interpolated(source: Path, target: Path, part: str | None = None, **how) -> Report:
    how = {"overlays": True, "codec": "ffv1", "span": None if part is None else parse_range(part), **how}
    return interpolate_file(source, target, rule=Factor(Fraction(2)), interpolator=moves, **how)


def pictures(path: Path) -> list[bytes]:
    with open_reader(path) as reader:
        return [frame.native.to_ndarray().tobytes() for frame in reader]


def differing(one: list[bytes], two: list[bytes]) -> list[int]:
    assert len(one) == len(two)
    return [index for index, pair in enumerate(zip(one, two, strict=True)) if pair[0] != pair[1]]


def test_parts_behind_the_first_search_show_what_the_whole_does(tmp_path):
    source, whole = titled(tmp_path / "in.mkv", relay.BLOCK + 36), tmp_path / "whole.mkv"
    assert interpolated(source, whole).overlays[0]["frames"] > relay.BLOCK
    shown = pictures(whole)
    for first, last in ((relay.BLOCK - 5, relay.BLOCK + 7), (relay.BLOCK + 20, relay.BLOCK + 30)):
        part = "-".join(f"{(index + 0.5) / RATE:.3f}" for index in (first, last))
        assert interpolated(source, tmp_path / "part.mkv", part).overlays
        assert differing(pictures(tmp_path / "part.mkv"), shown[2 * first : 2 * last]) == []
        interpolated(source, tmp_path / "plain.mkv", part, overlays=False)
        assert len(differing(pictures(tmp_path / "plain.mkv"), shown[2 * first : 2 * last])) >= last - first - 1


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(relay, "BLOCK", 48)
    monkeypatch.setattr(relay, "WARM", 16)


def test_repaired_parts_show_what_the_repaired_whole_does(short_blocks, tmp_path):
    source, whole = titled(tmp_path / "in.mkv", 80, each=2, lasts=20), tmp_path / "whole.mkv"
    how = {"repair": frozenset({"duplicates"})}
    report = interpolated(source, whole, **how)
    assert report.repeats == 39
    assert report.overlays
    shown, joined = pictures(whole), []
    for number, part in enumerate(("0-1.15", "1.15-2.1", "2.1-")):  # the second and the third begin with a repeat
        assert interpolated(source, tmp_path / f"{number}.mkv", part, **how).overlays
        joined += pictures(tmp_path / f"{number}.mkv")
    assert differing(joined, shown) == []
    interpolated(source, tmp_path / "plain.mkv", overlays=False, **how)
    assert len(differing(pictures(tmp_path / "plain.mkv"), shown)) > 60


def test_two_processes_show_what_one_does(tmp_path, monkeypatch):
    source, alone, shared = titled(tmp_path / "in.mkv", 24), tmp_path / "alone.mp4", tmp_path / "shared.mp4"
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)
    assert interpolated(source, alone, codec="h264").overlays
    succeeded(in_two_processes(["-c", SHARE, source, shared]))
    assert shared.read_bytes() == alone.read_bytes()
