import json

import pytest

from vidcm.interpolation.progress import Progress, clock_time, line


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(progress: Progress, clock: Clock, seconds_a_frame: float, frames: int) -> None:
    for done in range(1, frames + 1):
        progress(done, frames)
        clock.now += seconds_a_frame


def test_plain_lines_come_every_ten_seconds_with_rate_and_time_left(capsys):
    clock = Clock()
    run(Progress(clock=clock), clock, seconds_a_frame=0.5, frames=61)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "[#######.............]  34%  21/61 frames  2.0 per s  0:20 left",
        "[#############.......]  67%  41/61 frames  2.0 per s  0:10 left",
        "[####################] 100%  61/61 frames  2.0 per s",
    ]


def test_loading_and_warming_up_do_not_count_for_the_time_left(capsys):
    clock = Clock()
    progress = Progress(clock=clock)
    for done in range(1, 62):
        progress(done, 101)
        clock.now += 20.0 if done == 1 else 0.5
    assert capsys.readouterr().err.splitlines()[-1].endswith("42/101 frames  2.0 per s  0:30 left")


def test_a_run_that_goes_on_tells_no_time_left_before_it_is_warm_again(capsys):
    """It begins at many frames, and loads a model between the first two of its own."""
    clock = Clock()
    progress = Progress(clock=clock)
    for done in range(240, 250):
        progress(done, 600)
        clock.now += 20.0 if done == 240 else 3.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("  ? left")
    assert not any("1:" in each for each in lines)


def test_the_last_moment_is_not_told_as_no_time():
    assert line(99, 100, 10.0, True).endswith("  0:01 left")
    assert line(100, 100, 10.0, True).endswith("  10.0 per s")


def test_a_terminal_keeps_one_line_and_clears_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    clock = Clock()
    progress = Progress(clock=clock)
    run(progress, clock, seconds_a_frame=0.5, frames=4)
    progress.close()
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert shown.count("per s") == 3
    assert shown.split("\r")[-2:] == [" " * len(line(4, 4, 2.0, True)), ""]


def test_json_events_are_one_a_line(capsys):
    clock = Clock()
    run(Progress(as_json=True, clock=clock), clock, seconds_a_frame=1.0, frames=3)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {"event": "progress", "done": 2, "expected": 3, "frames_per_s": 1.0, "left_s": 1.0}
    assert len(events) == 2


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (7, "0:07"), (754, "12:34"), (3723.4, "1:02:03")])
def test_times_are_read_like_a_clock(seconds, text):
    assert clock_time(seconds) == text
