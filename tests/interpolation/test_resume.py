"""An interrupted run and the one that goes on with it leave the file that one run would have left."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.core.judged import Judged
from vidcm.interpolation import segments
from vidcm.interpolation.journal import ANEW, GO_ON, IF_IT_FITS, folder_of
from vidcm.interpolation.ledger import Ledger
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.slow_motion import SlowMotion
from vidcm.interpolation.span import parse_range
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector

from .odd_media import in_ten_bits

DOUBLE, SETTINGS = Factor(Fraction(2)), {"IN": "this", "--seed": "0"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)


class Maker:
    """Fades, scored by place; ends with an error at the `stop`-th pair, counted over its calls."""

    def __init__(self, stop: int = 10**6, error: BaseException | None = None) -> None:
        self.stop, self.error, self.positions = stop, error or KeyboardInterrupt(), []

    def __call__(self, first, last, taus, *, position=0, **_):
        if len(self.positions) == self.stop:
            raise self.error
        self.positions.append(position)
        ends = (last if first is None else first), (first if last is None else last)
        made = torch.stack([torch.lerp(*ends, tau) for tau in taus], dim=1)
        return Judged(made, torch.full((len(taus),), 0.1 + position % 7 / 10))


def interrupted(source, target, *, stop, **how) -> Maker:
    maker = Maker(stop)
    with pytest.raises(KeyboardInterrupt):
        interpolate_file(source, target, interpolator=maker, settings=lambda: SETTINGS, **how)
    return maker


def resumed(source, target, how_to=GO_ON, settings=SETTINGS, **how):
    maker = Maker()
    report = interpolate_file(source, target, interpolator=maker, settings=lambda: settings, resume=how_to, **how)
    assert not folder_of(target).exists()
    return report, maker


def joined(tmp_path: Path, make_video) -> Path:
    """Two shots, the second one black with a white edge."""
    shot, target = make_video("shot.mp4", count=9), tmp_path / "shots.mp4"
    with av.open(str(shot)) as given, av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in given.decode(video=0)]
        black = np.zeros_like(frames[0])
        black[:, :5] = 255
        for picture in [*frames, *[np.roll(black, 3 * k, axis=1) for k in range(11)]]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return target


UNEVEN = [Fraction(n, 600) for n in (0, 25, 50, 60, 200, 225, 300, 301, 340, 500, 510, 511, 530, 560, 600, 630, 640)]
CASES = {
    "B-frames and sound": ("out.mp4", {"rule": DOUBLE}),
    "to 60": ("out.mov", {"rule": Rate(Fraction(60))}),
    "uneven": ("out.mp4", {"rule": Factor(Fraction(3))}),
    "slow, with sound": ("out.mkv", {"rule": SlowMotion(Fraction(5, 2))}),
    "a part": ("out.mp4", {"rule": DOUBLE, "span": parse_range("0.1-0.7")}),
    "cuts": ("out.mp4", {"rule": DOUBLE, "at_cuts": "hold"}),
    "ten bits": ("out.mp4", {"rule": DOUBLE}),
    "lossless": ("out.mkv", {"rule": DOUBLE, "codec": "ffv1"}),
    "a preview": ("out.mp4", {"rule": DOUBLE, "preview": Fraction(1, 2)}),
    "VP9": ("out.webm", {"rule": DOUBLE}),
    "AV1": ("out.mp4", {"rule": DOUBLE, "codec": "av1"}),
    "ProRes": ("out.mov", {"rule": DOUBLE, "codec": "prores"}),
}


@pytest.mark.parametrize("case", CASES)
def test_it_ends_with_the_bytes_of_a_run_that_was_not_interrupted(case, make_video, tmp_path):
    name, how = CASES[case]
    source = {
        "uneven": lambda: make_video(rate=600, instants=UNEVEN),
        "cuts": lambda: joined(tmp_path, make_video),
        "ten bits": lambda: in_ten_bits(tmp_path / "deep.mkv", make_video(count=20)),
    }.get(case, lambda: make_video(count=20, tone_s=0 if case == "VP9" else 0.8))()
    detect = lambda: {"detector": CutDetector()} if case == "cuts" else {}  # noqa: E731
    whole, target = tmp_path / f"whole-{name}", tmp_path / name
    expected = interpolate_file(source, whole, interpolator=Maker(), **how, **detect())
    first = interrupted(source, target, stop=8, **how, **detect())
    assert not target.exists()
    report, second = resumed(source, target, **how, **detect())
    assert target.read_bytes() == whole.read_bytes()
    assert len(first.positions) + len(second.positions) < len(set(first.positions) | set(second.positions)) + 6
    assert report.frames_kept >= 8
    told = [{**each.as_dict(), "target": "", "frames_kept": 0, "wall_s": 0} for each in (report, expected)]
    assert told[0] == told[1]
    if case == "cuts":
        assert report.cuts == [9]


def test_numbered_pictures_go_on_too(make_video, tmp_path):
    source, shots = make_video(count=20), []
    for name in ("whole", "cut"):
        (folder := tmp_path / name).mkdir()
        target = folder / "f_%04d.png"
        if name == "whole":
            interpolate_file(source, target, rule=DOUBLE, interpolator=Maker())
        else:
            interrupted(source, target, stop=12, rule=DOUBLE)
            assert not list(folder.glob("*.png"))
            assert resumed(source, target, rule=DOUBLE)[0].frames_kept == 24
        shots.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert shots[0] == shots[1]
    assert len(shots[0]) == 40


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_parts_are_joined_so_that_every_picture_is_shown_and_times_rise(codec, make_video, tmp_path):
    source, target = make_video(rate=600, instants=UNEVEN), tmp_path / "out.mp4"
    interpolate_file(source, target, rule=Factor(Fraction(3)), interpolator=Maker(), codec=codec)
    with av.open(str(target)) as container:
        found = [packet for packet in container.demux(video=0) if packet.size]
    assert all(before.dts < after.dts for before, after in pairwise(found))
    assert all(packet.dts <= packet.pts for packet in found)
    assert sum(packet.is_keyframe for packet in found) == 6  # 51 frames, 9 in a segment
    with open_reader(target) as reader:
        shown = [frame.instant for frame in reader]
    assert shown[::3] == UNEVEN
    assert len(shown) == 51


def test_progress_is_told_while_what_is_there_is_passed(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interrupted(source, target, stop=12, rule=DOUBLE)
    passed, made = [], []
    tell = {"survey_progress": lambda *counts: passed.append(counts), "progress": lambda *counts: made.append(counts)}
    resumed(source, target, rule=DOUBLE, **tell)
    assert list(dict.fromkeys(passed)) == [(8, 40), (16, 40), (24, 40), (40, 40)]
    assert made == [(count, 40) for count in range(25, 41)]


def test_segments_do_not_change_the_pictures(make_video, tmp_path, monkeypatch):
    source = make_video(count=20, tone_s=0.8)
    how = {"rule": DOUBLE, "interpolator": Maker(), "codec": "ffv1"}
    interpolate_file(source, tmp_path / "parts.mkv", **how)
    monkeypatch.setattr(segments, "FRAMES", 240)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 240)
    interpolate_file(source, tmp_path / "one.mkv", **how)
    shown = []
    for name in ("parts.mkv", "one.mkv"):
        with open_reader(tmp_path / name) as reader:
            shown.append([(frame.instant, frame.native.to_ndarray().tobytes()) for frame in reader])
    assert shown[0] == shown[1]


def test_reports_tell_of_the_frames_that_were_there_already(make_video, tmp_path):
    source = make_video(count=20)
    texts = []
    for name in ("whole.mp4", "out.mp4"):
        how = {"rule": DOUBLE}
        if name == "out.mp4":
            with Ledger(worst=5) as first:
                interrupted(source, tmp_path / name, stop=10, ledger=first, **how)
            how |= {"resume": GO_ON}
        with Ledger(worst=5) as ledger:
            target = tmp_path / name
            done = interpolate_file(
                source, target, interpolator=Maker(), ledger=ledger, settings=lambda: SETTINGS, **how
            )
            report = {**done.as_dict(), "target": "x", "source": "y", "wall_s": 0, "frames_kept": 0}
            for suffix in (".json", ".html"):
                write_report(target.with_suffix(suffix), report, ledger)
        texts.append([target.with_suffix(suffix).read_text() for suffix in (".json", ".html")])
    assert texts[0] == texts[1]
    assert texts[0][1].count("<figure>") == 5
    assert len(json.loads(texts[0][0])["frames"]) == 40


def test_other_settings_are_refused_with_the_difference_and_nothing_is_lost(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interrupted(source, target, stop=12, rule=DOUBLE)
    kept = sorted(folder_of(target).iterdir())
    other = {**SETTINGS, "--seed": "7", "IN": "that"}
    with pytest.raises(UserError, match="IN was this, now that; --seed was 0, now 7; give the same as then, or leave"):
        resumed(source, target, settings=other, rule=DOUBLE)
    assert sorted(folder_of(target).iterdir()) == kept
    report, maker = resumed(source, target, how_to=IF_IT_FITS, settings=other, rule=DOUBLE)
    assert (report.frames_kept, len(maker.positions)) == (0, 19)


@pytest.mark.parametrize("head", ["", "[]", "{}", '{"format": "vidcm interpolation 2", "settings": null}'])
def test_a_damaged_journal_is_none(head, make_video, tmp_path):
    source, target = make_video(count=4), tmp_path / "out.mp4"
    folder_of(target).mkdir()
    (folder_of(target) / "journal.json").write_text(head)
    assert resumed(source, target, rule=DOUBLE)[0].frames_kept == 0


def test_what_another_version_left_is_not_thrown_away(make_video, tmp_path):
    source, target = make_video(count=4), tmp_path / "out.mp4"
    folder_of(target).mkdir()
    head = folder_of(target) / "journal.json"
    head.write_text('{"format": "vidcm interpolation 1", "settings": {}}')
    with pytest.raises(UserError, match="was made by another version of vidcm: go on with that one, or leave --resume"):
        resumed(source, target, rule=DOUBLE)
    assert head.exists()
    assert resumed(source, target, how_to=ANEW, rule=DOUBLE)[0].frames_kept == 0


def test_without_resume_it_starts_anew(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interrupted(source, target, stop=12, rule=DOUBLE)
    report, maker = resumed(source, target, how_to=ANEW, rule=DOUBLE)
    assert (report.frames_kept, len(maker.positions)) == (0, 19)


def test_with_nothing_to_go_on_with_it_begins_and_a_finished_file_is_not_made_again(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    report, _ = resumed(source, target, rule=DOUBLE)
    assert report.frames_kept == 0
    before = target.read_bytes()
    with pytest.raises(UserError, match="nothing of it is unfinished: leave --resume out to make it again"):
        resumed(source, target, rule=DOUBLE)
    assert target.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut short", "flipped", "gone", "no record", "broken record", "a bad head"])
def test_what_is_damaged_is_made_again(damage, make_video, tmp_path):
    source, target, whole = make_video(count=20), tmp_path / "out.mp4", tmp_path / "whole.mp4"
    interpolate_file(source, whole, rule=DOUBLE, interpolator=Maker())
    interrupted(source, target, stop=12, rule=DOUBLE)
    part, record = (folder_of(target) / f"000001{suffix}" for suffix in (".pictures", ".json"))
    data = part.read_bytes()
    {
        "cut short": lambda: part.write_bytes(data[:-1]),
        "flipped": lambda: part.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:]),
        "gone": part.unlink,
        "no record": record.unlink,
        "broken record": lambda: record.write_bytes(record.read_bytes()[:-5]),
        "a bad head": lambda: (folder_of(target) / "journal.json").write_text("{"),
    }[damage]()
    report, _ = resumed(source, target, rule=DOUBLE)
    assert report.frames_kept == (0 if damage == "a bad head" else 16)
    assert target.read_bytes() == whole.read_bytes()


def test_a_full_disk_keeps_what_is_whole_and_says_how_to_go_on(make_video, tmp_path, monkeypatch):
    from vidcm.media.parts import PartWriter

    source, target, whole = make_video(count=20), tmp_path / "out.mp4", tmp_path / "whole.mp4"
    interpolate_file(source, whole, rule=DOUBLE, interpolator=Maker())
    finish, count = PartWriter.finish, []

    def full(self):
        count.append(1)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return finish(self)

    monkeypatch.setattr(PartWriter, "finish", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device") as caught:
        interpolate_file(source, target, rule=DOUBLE, interpolator=Maker(), settings=lambda: SETTINGS)
    assert "the same command with --resume goes on from there" in caught.value.__notes__[0]
    monkeypatch.setattr(PartWriter, "finish", finish)
    report, _ = resumed(source, target, rule=DOUBLE)
    assert report.frames_kept == 16
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", ["out.mp4", "f_%02d.png"])
def test_a_disk_that_takes_nothing_is_told_of_by_the_name_of_the_output(name, make_video, tmp_path, monkeypatch):
    from vidcm.interpolation.journal import Journal

    source, folder = make_video(count=4), tmp_path / "out"
    folder.mkdir()
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(Journal, "unfinished", tmp_path / "full")
    with pytest.raises(UserError, match=r"cannot be written: No space left on device") as caught:
        interpolate_file(source, folder / name, rule=DOUBLE, interpolator=Maker(), settings=lambda: SETTINGS)
    assert str(folder / name) in str(caught.value)
    assert list(folder.iterdir()) == []


def test_how_to_go_on_is_said_by_whoever_was_asked_for_the_file(make_video, tmp_path):
    """A folder goes on by itself, and takes no --resume."""
    source, notes = make_video(count=20), {}
    for how in (ANEW, IF_IT_FITS):
        target = tmp_path / f"{how}.mp4"
        with pytest.raises(KeyboardInterrupt) as stopped:
            interpolate_file(source, target, rule=DOUBLE, interpolator=Maker(12), settings=lambda: SETTINGS, resume=how)
        notes[how] = getattr(stopped.value, "__notes__", [])
        assert folder_of(target).exists()
    told = "what is whole of it is kept; the same command with --resume goes on from there"
    assert notes == {ANEW: [f"{tmp_path / 'anew.mp4'}: {told}"], IF_IT_FITS: []}


def test_nothing_outlives_a_failure_before_the_first_segment_is_whole(make_video, tmp_path):
    source, target = make_video(count=20), tmp_path / "out.mp4"
    interrupted(source, target, stop=2, rule=DOUBLE)
    assert not folder_of(target).exists()


def killed_and_resumed(folder: Path, every: int, name: str, *what: str) -> int:
    command = [sys.executable, "-m", "tests.interpolation.killing", str(folder), str(every), name, *what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("name", "every"), [("out.mp4", 5), ("f_%02d.png", 9)])
def test_a_run_killed_anywhere_ends_with_the_same_bytes(name, every, tmp_path):
    assert killed_and_resumed(tmp_path, every, name) > 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_anywhere_keeps_a_title_still_as_one_run_does(tmp_path):
    assert killed_and_resumed(tmp_path, 13, "out.mp4", "titled") > 4


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["out.mp4", "f_%02d.png"])
def test_a_run_killed_at_every_single_event_ends_with_the_same_bytes(name, tmp_path):
    assert killed_and_resumed(tmp_path, 1, name) > 40
