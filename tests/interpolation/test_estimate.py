"""What a long run will take, from its first frames."""

from dataclasses import dataclass
from fractions import Fraction

import pytest

from vidcm.interpolation.estimate import Estimate, Forecast
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.sizes import Sizes


@dataclass
class Packet:
    size: int
    is_keyframe: bool = False


def run(
    expected: int, frame_s: float, *, load_s: float = 0, frames: int = 100, packets_from: int = 1
) -> list[Estimate]:
    """What is told in a run whose every second frame is made, each in frame_s."""
    told: list[Estimate] = []
    now = 0.0
    forecast, sizes = Forecast(told.append, clock=lambda: now), Sizes()
    for written in range(1, 101):
        now += load_s if written == 2 else frame_s if written % 2 == 0 else 0
        sizes.add([Packet(1000)] * (written >= packets_from))
        forecast(written, written // 2, expected, sizes)
    return told


def test_a_long_run_is_told_once_and_loading_the_model_does_not_count():
    [told] = run(1000, 1.0, load_s=40.0)
    # The clock starts with frame 2; 8 more are made at frame 18, in 8 s. 982 more take 491 s.
    assert (told.left_s, told.frames, told.size) == (pytest.approx(491), 1000, 1_000_000)


def test_a_short_run_is_not_told():
    assert run(100, 1.0) == []
    assert len(run(130, 1.0)) == 1


def test_where_the_encoder_keeps_its_frames_the_size_is_told_later():
    [told] = run(1000, 1.0, packets_from=1000)
    assert told.size is None
    assert told.left_s == pytest.approx(469)  # told 30 s after frame 2, at frame 62
    first, second = run(1000, 1.0, packets_from=70)
    assert first == told
    # The 12th packet comes with frame 81: 79 took 39 s, 919 are left.
    assert (second.left_s, second.size) == (pytest.approx(39 / 79 * 919), 1_000_000)
    assert len(run(150, 1.0, packets_from=70)) == 1  # little is left by then


def test_a_run_that_makes_nothing_is_not_told():
    told: list[Estimate] = []
    forecast = Forecast(told.append, clock=iter(range(10_000)).__next__)
    for written in range(1000):
        forecast(written, 0, 100_000, Sizes())
    assert told == []


def test_a_first_key_picture_is_not_taken_for_the_rule():
    sizes = Sizes()
    sizes.add([Packet(50_000, is_keyframe=True), *[Packet(1000)] * 11])
    assert sizes.expected(1000) == 4 * 50_000 + 996 * 1000
    assert sizes.expected(12) == 61_000


def test_where_every_picture_is_a_key_it_is_the_mean():
    sizes = Sizes()
    sizes.add([Packet(50_000, is_keyframe=True), Packet(70_000, is_keyframe=True)])
    assert sizes.expected(100) == 6_000_000


def test_sizes_are_those_of_the_file(make_video, crossfade, tmp_path):
    source, target = make_video(count=30), tmp_path / "out.mkv"
    told: list[Sizes] = []

    class Noting(Forecast):
        def __call__(self, written, made, expected, sizes):
            told.append(sizes)

    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "codec": "ffv1", "forecast": Noting(print)}
    interpolate_file(source, target, **how)
    assert told[-1].packets == 60
    assert told[-1].expected(60) == pytest.approx(target.stat().st_size, rel=0.05)


def test_a_file_tells_the_forecast_what_it_does(make_video, crossfade, tmp_path):
    seen: list[tuple[int, int, int]] = []

    class Noting(Forecast):
        def __call__(self, written, made, expected, sizes):
            seen.append((written, made, expected))

    how = {"rule": Factor(Fraction(2)), "interpolator": crossfade, "forecast": Noting(print)}
    interpolate_file(make_video(count=3), tmp_path / "out.mkv", **how)
    assert len(seen) == 6
    assert seen[-1] == (6, 2, 6)
