"""Decoding, the network and encoding at once: each in its thread, none far ahead, and all gone at the end."""

import threading
import time
import weakref
from fractions import Fraction

import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media import reader_pyav
from vidcm.media.shots import CutDetector

DOUBLE = Factor(Fraction(2))


def others() -> int:
    return sum(thread.name == "vidcm-ahead" for thread in threading.enumerate())


def test_each_stage_has_a_thread_of_its_own(make_video, crossfade, tmp_path):
    seen: dict[str, set[int]] = {"cuts": set(), "network": set(), "encoder": set()}

    class Noting(CutDetector):
        def is_cut(self, previous, following):
            seen["cuts"].add(threading.get_ident())
            return False

    def interpolate(*ends_and_taus, **where):
        seen["network"].add(threading.get_ident())
        return crossfade(*ends_and_taus, **where)

    def progress(done, expected):
        seen["encoder"].add(threading.get_ident())

    how = {"rule": DOUBLE, "interpolator": interpolate, "detector": Noting(), "progress": progress}
    interpolate_file(make_video(), tmp_path / "out.mp4", **how)
    assert [len(idents) for idents in seen.values()] == [1, 1, 1]
    assert len(set.union(*seen.values())) == 3
    assert seen["encoder"] == {threading.get_ident()}
    assert others() == 0


@pytest.mark.parametrize("slow", ["network", "encoder"])
def test_no_stage_runs_far_ahead_of_the_next(slow, make_video, crossfade, tmp_path, monkeypatch):
    alive: weakref.WeakSet = weakref.WeakSet()
    most = 0

    class Counted(reader_pyav.VideoFrame):
        def __init__(self, *args):
            super().__init__(*args)
            alive.add(self)

    def interpolate(*ends_and_taus, **where):
        time.sleep(0.01 if slow == "network" else 0)
        return crossfade(*ends_and_taus, **where)

    def progress(done, expected):
        nonlocal most
        time.sleep(0.01 if slow == "encoder" else 0)
        most = max(most, len(alive))

    crossfade.around = type("Nothing", (), {"append": lambda self, around: None})()  # it would keep the frames
    monkeypatch.setattr(reader_pyav, "VideoFrame", Counted)
    source = make_video(count=60)
    interpolate_file(source, tmp_path / "out.mp4", rule=DOUBLE, interpolator=interpolate, progress=progress)
    assert most <= 10  # four of the pair, one ahead for the plan, two with waiting pictures, and what each hand holds


@pytest.mark.parametrize("failure", [UserError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["cuts", "network", "encoder"])
def test_whichever_stage_fails_all_end(stage, failure, make_video, crossfade, tmp_path):
    counts = iter(range(1000))

    def fails(name):
        if name == stage and next(counts) == 3:
            raise failure

    class Failing(CutDetector):
        def is_cut(self, previous, following):
            fails("cuts")
            return False

    def interpolate(*ends_and_taus, **where):
        fails("network")
        return crossfade(*ends_and_taus, **where)

    how = {"rule": DOUBLE, "interpolator": interpolate, "detector": Failing()}
    with pytest.raises(type(failure)):
        interpolate_file(
            make_video(count=30),
            tmp_path / "out.mp4",
            progress=lambda done, expected: fails("encoder"),
            **how,
        )
    assert others() == 0
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]
