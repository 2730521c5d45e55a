"""Whole ticks in place of Fractions: the same instants, in a fraction of the memory."""

import tracemalloc
from array import array
from bisect import bisect_left
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcm.media.info import timestamps
from vidcm.media.instants import Instants, Timestamps
from vidcm.media.reader import open_reader

TICK = Fraction(1001, 30000)
COUNT = 3000
LIMIT = 5e6 * COUNT / (3600 * 60)  # bytes; an hour of 60 fps in 5 MB


def instants(*ticks: int, **options) -> Instants:
    return Instants(memoryview(array("q", ticks)), TICK, **options)


def test_they_are_the_sequence_of_seconds_that_the_ticks_stand_for():
    exact = [-3 * TICK, 0 * TICK, 5 * TICK, 2**40 * TICK]
    lazy = instants(-3, 0, 5, 2**40)
    assert lazy == exact
    assert exact == lazy
    assert list(lazy) == [lazy[index] for index in range(4)] == exact
    assert (lazy[-1], lazy[1:3], lazy[:-1]) == (exact[-1], exact[1:3], exact[:-1])
    assert lazy != exact[:-1]
    assert lazy != [0, *exact[1:]]
    assert bisect_left(lazy, TICK) == 2
    assert not instants()


def test_they_stand_for_what_the_clock_says_each_once():
    lazy = instants(0, 1, 2, 3, 4, exact=lambda instant: instant // 1 if instant < TICK * 3 else instant)
    assert lazy == [0, 0, 0, 3 * TICK, 4 * TICK]
    assert lazy.distinct() == [0, 3 * TICK, 4 * TICK]


def test_timestamps_rise_whatever_order_the_packets_came_in():
    found = Timestamps()
    for pts, duration in [(0, 1), (9, 4), (3, 1), (9, 5), (-6, None), (3, 2)]:
        found.add(pts, duration)
    assert len(found) == 6
    assert found.rising().tolist() == [-6, 0, 3, 9]
    assert found.last_duration == 5  # of the later of the two at 9
    assert Timestamps().rising().tolist() == []


def test_a_first_timestamp_below_zero_may_be_the_last():
    found = Timestamps()
    found.add(-6, 2)
    assert found.last_duration == 2


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COUNT frames, 500 at 30 fps, the rest at 60: one encoded picture again and again."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=60)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        [picture] = stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24"))
        for index in range(COUNT):
            packet = av.Packet(bytes(picture))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 60), True
            packet.pts = packet.dts = 2 * index if index < 500 else 500 + index
            container.mux(packet)
    return path


def peak_bytes(work) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_the_instants_of_an_hour_take_less_than_5_megabytes(long_video: Path):
    with open_reader(long_video) as reader:
        assert peak_bytes(lambda: reader.timeline) < LIMIT
        assert len(reader.timeline.instants) == COUNT
        assert reader.timeline.instants[499:502] == [Fraction(n, 60) for n in (998, 1000, 1001)]


def test_the_clock_of_an_hour_is_told_in_less_than_5_megabytes(long_video: Path):
    with open_reader(long_video) as reader, av.open(str(long_video)) as container:
        told = lambda: reader.info.timed_by(timestamps(long_video), container.streams.video[0])  # noqa: E731
        assert peak_bytes(told) < LIMIT
        assert (told().clock.step, told().rate) == (Fraction(1, 60), None)
