"""`--memory`: what a run is thought to take, the way that is chosen for it, and that it changes no picture."""

import os
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from vidcm.core import large
from vidcm.core.ahead import ahead
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.memory import MIB, Memory, parse_memory
from vidcm.interpolation import budget, footprint, segments
from vidcm.interpolation.budget import AS_USUAL, fitting, together_by, ways
from vidcm.interpolation.footprint import Run, bytes_of, run_of
from vidcm.interpolation.journal import GO_ON, folder_of
from vidcm.interpolation.lazily import Lazily
from vidcm.interpolation.makers import in_strips
from vidcm.interpolation.plan import Factor, Rate
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.choice import choose
from vidcm.media.encoders import ENCODERS
from vidcm.media.reader import open_reader

DOUBLE = Factor(Fraction(2))
UHD = Run(3840, 2160, "h264", native=1.5, written=1.5, encoded=3840 * 2160, is_deep=True, waiting=7)
FFV1 = replace(UHD, codec="ffv1")
PLENTY = Memory(2**50, "1024TiB")


def with_size(run: Run, width: int, height: int) -> Run:
    return replace(run, width=width, height=height, encoded=width * height)


def exactly(size: int) -> Memory:
    return Memory(size, f"{size} bytes")


def least_for(run: Run) -> int:
    return bytes_of(run, list(ways())[-1])


# The estimate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", list(ways()))
def test_more_of_anything_takes_more(way):
    sizes = [(448, 256), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160), (7680, 4320)]
    taken = [bytes_of(with_size(UHD, *size), way) for size in sizes]
    assert taken == sorted(taken)
    assert len(set(taken)) == len(taken)
    more = {
        "native": 3.0,
        "written": 3.0,
        "planes": 4,
        "together": 8,
        "waiting": 9,
        "readers": 2,
        "encoded": 2 * UHD.pixels,
    }
    for name, value in more.items():
        assert bytes_of(replace(UHD, **{name: value}), way) > bytes_of(UHD, way), name
    deep = replace(UHD, native=3.0, written=3.0)
    assert bytes_of(UHD, way) < bytes_of(replace(deep, bytes_written=2), way) < bytes_of(deep, way)
    assert bytes_of(replace(UHD, refers=False), way) < bytes_of(UHD, way)
    assert bytes_of(replace(UHD, is_deep=False), way) < bytes_of(UHD, way) < bytes_of(replace(UHD, in_bands=False), way)
    assert bytes_of(replace(UHD, codec="ffv1"), way) < bytes_of(UHD, way) < bytes_of(replace(UHD, codec="hevc"), way)


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("size", [(448, 256), (1920, 1080), (3840, 2160)])
def test_no_way_takes_more_than_the_one_before(codec, size):
    taken = [bytes_of(with_size(replace(UHD, codec=codec), *size), way) for way in ways()]
    assert all(before >= after for before, after in pairwise(taken))
    assert taken[0] > taken[-1]


def test_a_picture_of_4k_is_not_thought_to_be_free():
    """The frames alone: four ends and in-betweens in floats are 400 MB."""
    assert least_for(UHD) > footprint.BASE + 400e6


@pytest.mark.parametrize(
    ("run", "measured"),
    [
        (with_size(UHD, 448, 256), 488),
        (with_size(UHD, 1280, 720), 865),
        (with_size(UHD, 1920, 1080), 1006),
        (UHD, 1730),
        (replace(UHD, codec="hevc", native=3.0, written=3.0, bytes_written=2), 3114),
        (with_size(FFV1, 7680, 4320), 4319),
    ],
)
def test_the_least_is_above_what_was_measured_with_it_and_not_far(run, measured):
    """MiB at the peak of files of eight bits, an overlay in the first two; pictures that go beyond white take more."""
    beyond_white = bytes_of(run, list(ways())[-1]) - bytes_of(replace(run, is_deep=False), list(ways())[-1])
    assert 1.03 * measured * MIB < least_for(run) < 1.15 * measured * MIB + beyond_white


@pytest.mark.parametrize(("size", "measured"), [((448, 256), 846), ((1280, 720), 1824)])
def test_what_is_found_together_of_a_gap_is_counted_at_working_size(size, measured):
    """MiB at the peak with --factor 9: eight at once."""
    assert measured * MIB < least_for(replace(with_size(UHD, *size), together=8, readers=2)) < 1.2 * measured * MIB


def test_a_rate_that_varies_takes_more_at_once_by_the_second_alone():
    steady, varying = (SimpleNamespace(rate=rate, average_rate=Fraction(24)) for rate in (Fraction(24), None))
    rules = DOUBLE, Factor(Fraction(5, 2)), Factor(Fraction(12)), Rate(Fraction(48))
    assert [together_by(rule, steady) for rule in rules] == [1, 2, 8, 1]
    assert [together_by(rule, varying) for rule in rules] == [1, 2, 8, 8]


def test_what_is_coded_picture_by_picture_refers_to_none(make_video):
    with open_reader(make_video()) as reader:
        choice = choose(Path("out.mp4"), reader.info, "h264")
        how = {"together": 1, "overlays": True, "readers": 1}
        assert run_of(reader.info, reader.info, choice, **how).refers
        assert not run_of(replace(reader.info, codec="prores"), reader.info, choice, **how).refers


# The way ------------------------------------------------------------------------------------------------------------


def test_less_memory_never_chooses_an_earlier_way():
    order, least = list(ways()), least_for(UHD)
    chosen = [order.index(fitting(exactly(size), UHD)) for size in range(least, 2 * least, 5 * MIB)]
    assert chosen == sorted(chosen, reverse=True)
    assert {chosen[0], chosen[-1]} == {len(order) - 1, 0}
    for size in range(least, 2 * least, 50 * MIB):
        assert bytes_of(UHD, fitting(exactly(size), UHD)) <= size


def test_too_little_is_refused_with_the_least_that_does():
    with pytest.raises(
        WrongUse, match=r"--memory 300MiB is too little for 3840x2160 in h264: give at least \d+MiB$"
    ) as told:
        fitting(parse_memory("300MiB"), UHD)
    least = str(told.value).rpartition(" ")[2]
    assert fitting(parse_memory(least), UHD) == list(ways())[-1]
    with pytest.raises(WrongUse):
        fitting(exactly(least_for(UHD) - 1), UHD)


def test_the_encoder_is_told_nothing_without_it_and_little_until_the_last():
    first, *others, last = (way.options(ENCODERS["h264"]) for way in ways())
    assert AS_USUAL.options(ENCODERS["h264"]) == {}
    assert all(options == first == {"threads": "2"} for options in others)
    assert last == {"threads": "2", "rc-lookahead": "4"}


# What is made -------------------------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """The pipeline with random weights, loaded when it is wanted."""
    from vidcm.families.motion import MotionFamily
    from vidcm.pipelines import FrameInterpolationPipeline, as_interpolator

    torch.manual_seed(0)
    small = {"vae": {"widths": (8, 8, 16, 16), "condition_channels": 16, "local_channels": 8, "latent_channels": 6}}
    family = MotionFamily.create({**small, "dit": {"dim": 48, "depth": 1, "heads": 2}})
    for weight in family.vae.parameters():  # nothing of it silent
        weight.data += 0.02 * torch.randn(weight.shape)
    pipe = FrameInterpolationPipeline(family.vae, family.dit, family.scheduler)
    pipe.precision = lambda: torch.autocast("cpu", enabled=False)  # in bf16 a last bit more or less is a visible one
    return Lazily(lambda: as_interpolator(pipe))


def pictures_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(int)


@pytest.mark.parametrize("limit", [10**9, 0])
def test_every_way_makes_the_same_pictures(limit, network, make_video, tmp_path, monkeypatch):
    """limit: pixels of pictures that are large; those grow by rows, whatever the strips."""
    monkeypatch.setattr(large, "LARGE", limit)
    source, order = make_video(count=3, size=(96, 128)), list(ways())
    how = {"rule": DOUBLE, "interpolator": network, "overlays": True}
    interpolate_file(source, tmp_path / "usual.mkv", codec="ffv1", **how)
    usual = pictures_of(tmp_path / "usual.mkv")
    for index in (0, 2, len(order) - 1):
        way = replace(order[index], strip=order[index].strip and 96 * 16)  # several in this picture, too
        monkeypatch.setattr(budget, "fitting", lambda memory, run, way=way: way)
        target = tmp_path / f"{index}.mkv"
        interpolate_file(source, target, codec="ffv1", memory=PLENTY, **how)
        assert np.abs(pictures_of(target) - usual).max() <= (0 if way.strip is None else 1)


def test_a_run_that_goes_on_leaves_the_same_bytes(make_video, crossfade, tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "FRAMES", 8)
    monkeypatch.setattr(segments, "LEAST_FRAMES", 8)
    source, whole, target = make_video(count=14), tmp_path / "whole.mp4", tmp_path / "out.mp4"
    seen: list[Run] = []
    chosen = budget.fitting
    monkeypatch.setattr(budget, "fitting", lambda memory, run: seen.append(run) or chosen(memory, run))
    how = {"rule": DOUBLE, "settings": lambda: {"IN": "this"}}
    interpolate_file(source, tmp_path / "usual.mp4", interpolator=crossfade, memory=PLENTY, **how)
    how["memory"] = exactly(least_for(seen[0]))
    interpolate_file(source, whole, interpolator=crossfade, **how)
    assert b"rc_lookahead=20" in (tmp_path / "usual.mp4").read_bytes()  # x264 writes what it was told into the file
    assert b"rc_lookahead=4" in whole.read_bytes()

    def stopping(*ends, position=0, **where):
        if position == 9:
            raise KeyboardInterrupt
        return crossfade(*ends, position=position, **where)

    with pytest.raises(KeyboardInterrupt):
        interpolate_file(source, target, interpolator=stopping, **how)
    assert folder_of(target).exists()
    with pytest.raises(UserError, match="its options by --memory was threads=2 rc-lookahead=4, now as usual"):
        interpolate_file(source, target, interpolator=crossfade, resume=GO_ON, **{**how, "memory": None})
    report = interpolate_file(source, target, interpolator=crossfade, resume=GO_ON, **how)
    assert report.frames_kept == 16
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs to take cores away")
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_bytes_do_not_depend_on_how_many_cores_there_are(codec, make_video, crossfade, tmp_path):
    source, cores, made = make_video(count=8, size=(192, 144)), os.sched_getaffinity(0), []
    how = {"rule": DOUBLE, "interpolator": crossfade, "codec": codec, "memory": PLENTY}
    for some in (cores, {min(cores)}):
        os.sched_setaffinity(0, some)  # which encoders count
        try:
            interpolate_file(source, tmp_path / "out.mp4", **how)
        finally:
            os.sched_setaffinity(0, cores)
        made.append((tmp_path / "out.mp4").read_bytes())
    assert made[0] == made[1]


def test_a_budget_that_is_too_small_leaves_nothing(make_video, crossfade, tmp_path):
    with pytest.raises(WrongUse, match="--memory 40MiB is too little for 64x48 in h264"):
        interpolate_file(
            make_video(), tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade, memory=parse_memory("40MiB")
        )
    assert crossfade.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


# Its parts ----------------------------------------------------------------------------------------------------------


def test_a_reader_decodes_with_as_many_threads_as_it_is_told(make_video):
    for threads in (1, 3):
        with open_reader(make_video(), threads=threads) as reader:
            assert reader._decoder.thread_count == threads
            assert len(list(reader)) == 6


def test_with_nothing_ahead_the_taker_makes_the_items():
    made, closed = [], []

    def numbers():
        try:
            for number in range(3):
                made.append(number)
                yield number
        finally:
            closed.append(True)

    taking = ahead(numbers(), 0)
    assert next(taking) == 0
    assert made == [0]
    taking.close()
    assert closed == [True]
    assert list(ahead(numbers(), 0)) == [0, 1, 2]


def test_strips_are_told_to_whoever_works_in_them(network):
    told = in_strips(network, 4096)
    assert isinstance(told, Lazily)
    assert told.loaded().strip == 4096
    assert told.loaded() is told.loaded()
    assert network.loaded().strip == footprint.STRIP
    assert in_strips(network, None) is network
    assert in_strips(min, 4096) is min
