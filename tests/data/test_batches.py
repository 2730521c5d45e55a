import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.data.batches import Batches, DataConfig, open_cache

from .clip_makers import numbered_frames, scene_frames

SMALL = DataConfig(crop=(64, 96), batch_size=4)


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, msg=name)


@pytest.fixture
def scenes(make_cache):
    clips = {f"clip{seed}": (scene_frames(seed), "train", None) for seed in range(4)}
    return make_cache(**clips, other=(scene_frames(4), "val", None))


def test_a_batch_is_what_the_model_was_promised(scenes):
    batches = Batches(replace(SMALL, between={3: 1.0}), scenes)
    batch = batches.batch(0)
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items()}
    assert shapes == {
        "first": (4, 3, 64, 96), "last": (4, 3, 64, 96), "frames": (4, 3, 3, 64, 96), "tau": (4, 3),
        "first_present": (4,), "last_present": (4,),
        "flow_forward": (4, 2, 16, 24), "flow_backward": (4, 2, 16, 24),
        "flow_to_first": (4, 2, 3, 16, 24), "flow_to_last": (4, 2, 3, 16, 24),
        "before": (4, 3, 16, 24), "after": (4, 3, 16, 24), "steps": (4, 2), "beyond_present": (4, 2),
        "flow_before": (4, 2, 16, 24), "flow_after": (4, 2, 16, 24),
    }  # fmt: skip
    present = {"first_present", "last_present", "beyond_present"}
    assert all(tensor.dtype == (torch.bool if name in present else torch.float32) for name, tensor in batch.items())
    assert 0 <= batch["frames"].min() < 0.3 < 0.7 < batch["frames"].max() <= 1


def test_a_batch_does_not_depend_on_the_order_of_calls(scenes):
    forwards = [Batches(SMALL, scenes).batch(step) for step in range(4)]
    batches = Batches(SMALL, scenes)
    backwards = [batches.batch(step) for step in (3, 2, 1, 0)][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        assert_same(a, b)


def test_workers_and_resuming_do_not_change_what_comes(scenes):
    batches = Batches(SMALL, scenes, rank=1, world=2)
    expected = [batches.batch(step) for step in range(2, 5)]
    assert_same(expected[0], batches.batch(2, rank=1, world=2))
    for workers in (0, 2):
        stream = batches.iterate(2, workers=workers)
        for a, b in zip(expected, islice(stream, 3), strict=True):
            assert_same(a, b)
        stream.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_worker_that_is_killed_is_one_line_with_the_way_out(scenes):
    others = multiprocessing.active_children()  # which earlier tests left to end by themselves
    stream = Batches(SMALL, scenes).iterate(workers=1)
    next(stream)
    [worker] = set(multiprocessing.active_children()) - set(others)
    os.kill(worker.pid, signal.SIGKILL)  # as the kernel does when memory runs out
    with pytest.raises(UserError, match=r"one of 1 data workers ended.*data\.workers=1; 0 makes") as caught:
        list(islice(stream, 20))  # behind those that were made ahead
    assert "\n" not in str(caught.value)


def test_workers_end_with_a_main_process_that_is_killed(scenes, tmp_path):
    script = tmp_path / "train.py"
    lines = [
        "import sys, time",
        "from vidcm.data.config import DataConfig",
        "from vidcm.data.workers import draw_ahead",
    ]
    lines.append("if __name__ == '__main__':")
    lines.append("    config = DataConfig(crop=(64, 96), batch_size=1)")
    lines.append("    stream = draw_ahead(config, sys.argv[1], 'train', start=0, rank=0, world=1, workers=1)")
    lines.append("    print(next(stream)['tau'].shape, flush=True); time.sleep(100)")
    script.write_text("\n".join(lines))
    command = [sys.executable, str(script), str(scenes.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        assert main.stdout.readline().startswith("(1, ")
        main.kill()
        main.communicate(timeout=30)  # the output stays open for as long as a worker has it


def test_two_ranks_together_see_what_one_with_twice_the_batch_sees(scenes):
    whole = Batches(replace(SMALL, batch_size=8), scenes).batch(3)
    halves = [Batches(SMALL, scenes).batch(3, rank, 2) for rank in (0, 1)]
    assert_same(whole, {name: torch.cat([half[name] for half in halves]) for name in whole})


def test_two_batches_of_a_step_are_one_of_twice_the_size(scenes):
    """Whatever the number of frames in between, which the step decides."""
    mixed = replace(SMALL, between={1: 0.5, 3: 0.5}, batch_size=2)
    whole, parts = Batches(replace(mixed, batch_size=4), scenes), Batches(mixed, scenes, parts=2)
    steps = [next(step for step in range(50) if whole.between(step) == count) for count in (1, 3)]
    for step in steps:
        first, second = (parts.batch(number) for number in (2 * step, 2 * step + 1))
        assert_same(whole.batch(step), {name: torch.cat((first[name], second[name])) for name in first})
    stream = parts.iterate(2 * steps[1] + 1, workers=1)
    assert_same(next(stream), second)
    stream.close()


def test_another_seed_gives_other_batches(scenes):
    one, other = (Batches(replace(SMALL, seed=seed), scenes).batch(0)["first"] for seed in (0, 1))
    assert (one != other).float().mean() > 0.5


def test_an_epoch_starts_from_every_frame_once_whatever_the_rank(make_cache):
    cache = make_cache(a=(numbered_frames(20), "train", None), b=(numbered_frames(30), "train", None))
    pool = Batches(SMALL, cache).source.pool
    assert pool.samples_per_epoch == 25
    orders = [
        [(clip.file, index) for n in numbers for clip, index in pool.anchors(n)]
        for numbers in (range(25), range(25, 50))
    ]
    for order in orders:
        assert sorted(order) == [("a", i) for i in range(20)] + [("b", i) for i in range(30)]
    assert orders[0] != orders[1]


def test_how_many_frames_are_in_between_follows_the_shares(scenes):
    batches = Batches(replace(SMALL, between={1: 0.25, 3: 0.75}), scenes)
    share = np.mean([batches.between(step) == 3 for step in range(1000)])
    assert share == pytest.approx(0.75, abs=0.06)  # four standard deviations
    assert batches.batch(7)["frames"].shape[2] == batches.between(7)


@pytest.mark.parametrize("between", [1, 3])
def test_tau_is_exactly_where_the_frame_was_shown(make_cache, between):
    rng = np.random.default_rng(0)
    uneven = np.cumsum(rng.integers(1, 5, 60))
    instants = [Fraction(int(i), 90) for i in uneven]
    cache = make_cache(a=(numbered_frames(60), "train", instants))
    config = replace(SMALL.plain(), reverse=0.5, flip=0.5, quarter_turn=0.5, between={between: 1.0}, batch_size=64)
    batch = Batches(config, cache).batch(0)
    number = lambda image: (image[..., 0, 0, 0] * 255).round().int().tolist()  # noqa: E731
    firsts, lasts, inside = number(batch["first"].movedim(1, -1)), number(batch["last"].movedim(1, -1)), batch["frames"]
    inside = number(inside.permute(0, 2, 3, 4, 1))
    backwards = 0
    for first, last, frames, tau in zip(firsts, lasts, inside, batch["tau"], strict=True):
        assert 2 <= abs(last - first) <= 8
        assert len({first, *frames, last}) == between + 2
        exact = [(instants[i] - instants[first]) / (instants[last] - instants[first]) for i in frames]
        assert exact == sorted(exact)
        assert tau.tolist() == [float(np.float32(float(t))) for t in exact]
        backwards += last < first
    assert 10 < backwards < 54


def test_small_gaps_come_more_often_as_configured(make_cache):
    config = replace(SMALL.plain(), gaps={2: 3.0, 8: 1.0}, between={1: 1.0}, batch_size=200, crop=(32, 32), moving=0.0)
    batch = Batches(config, make_cache(a=(numbered_frames(200), "train", None))).batch(0)
    gaps = ((batch["last"] - batch["first"])[:, 0, 0, 0] * 255).round()
    assert set(gaps.tolist()) == {2.0, 8.0}
    assert (gaps == 2).float().mean().item() == pytest.approx(0.75, abs=0.13)  # four standard deviations


def test_validation_clips_are_never_trained_on(make_cache):
    cache = make_cache(a=(numbered_frames(40), "train", None), b=(numbered_frames(40, 200), "val", None))
    config = replace(SMALL.plain(), batch_size=24)
    assert Batches(config, cache).batch(0)["frames"].max() < 100 / 255
    assert Batches(config, cache, "val").batch(0)["frames"].min() >= 200 / 255


def test_textures_of_rendered_scenes_come_from_the_same_split(make_cache):
    cache = make_cache(a=(numbered_frames(40), "train", None), b=(numbered_frames(40, 200), "val", None))
    pool = Batches(SMALL, cache).source.pool
    pieces = [pool.texture(np.random.default_rng(seed), 40, 150) for seed in range(50)]
    assert all(piece.shape == (40, 150, 3) and piece.max() < 100 for piece in pieces)


def test_an_absent_end_is_black_without_motion_and_never_both_are(scenes):
    batch = Batches(replace(SMALL, absent=0.6, batch_size=100, synthetic=0.5, between={1: 1.0}), scenes).batch(0)
    first, last = batch["first_present"], batch["last_present"]
    assert (first | last).all()
    assert 15 < (~first).sum() < 45
    assert 15 < (~last).sum() < 45
    for present, end, flow in ((first, "first", "flow_to_first"), (last, "last", "flow_to_last")):
        seen = batch[end].flatten(1).amax(dim=1) > 0
        assert (seen == present).all()
        assert (batch[flow][~present] == 0).all()
        assert (batch[flow][present].flatten(1).abs().amax(dim=1) > 0).float().mean() > 0.9
    for flow in ("flow_forward", "flow_backward"):
        assert (batch[flow][~(first & last)] == 0).all()


def brought(end: torch.Tensor, flow: torch.Tensor) -> np.ndarray:
    """end [3, H, W] looked up at p + flow, flow [2, H/4, W/4] in cells: [H, W, 3]."""
    height, width = end.shape[1:]
    fine = cv2.resize(flow.permute(1, 2, 0).numpy() * 4, (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.indices((height, width), dtype=np.float32)
    picture = np.ascontiguousarray(end.permute(1, 2, 0).numpy())
    return cv2.remap(picture, x + fine[..., 0], y + fine[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("synthetic", [0.0, 1.0])
def test_flows_bring_the_ends_to_the_frame_after_every_augmentation(scenes, synthetic):
    settings = {"absent": 0.0, "batch_size": 24, "between": {1: 1.0}, "gaps": {6: 1.0}, "quarter_turn": 0.5}
    batch = Batches(replace(SMALL, synthetic=synthetic, **settings), scenes).batch(0)
    errors = {sign: [] for sign in (1, 0, -1)}
    for i in range(24):
        frame = batch["frames"][i, :, 0].permute(1, 2, 0).numpy()
        for end in ("first", "last"):
            for sign, found in errors.items():
                found.append(np.abs(brought(batch[end][i], sign * batch[f"flow_to_{end}"][i, :, 0]) - frame).mean())
    right, still, wrong = (np.mean(errors[sign]) for sign in (1, 0, -1))
    assert right < 0.6 * still  # outlines and what is hidden stay
    assert wrong > still


def test_forward_and_backward_flow_join_the_ends(scenes):
    settings = {"absent": 0.0, "batch_size": 24, "gaps": {6: 1.0}, "synthetic": 0.0}
    batch = Batches(replace(SMALL, between={1: 1.0}, **settings), scenes).batch(0)
    for a, b, flow in (("first", "last", "flow_forward"), ("last", "first", "flow_backward")):
        pairs = [(batch[a][i].permute(1, 2, 0).numpy(), batch[b][i], batch[flow][i]) for i in range(24)]
        right, still = (np.mean([np.abs(brought(e, s * f) - p).mean() for p, e, f in pairs]) for s in (1, 0))
        assert right < 0.6 * still


@pytest.mark.parametrize("synthetic", [0.0, 1.0])
def test_frames_beyond_the_ends_come_with_the_motion_to_them(scenes, synthetic):
    settings = {"absent": 0.0, "alone": 0.3, "batch_size": 32, "between": {1: 1.0}, "gaps": {4: 1.0}}
    batch = Batches(replace(SMALL, synthetic=synthetic, **settings), scenes).batch(0)
    for side, (end, beyond) in enumerate((("first", "before"), ("last", "after"))):
        present = batch["beyond_present"][:, side]
        assert 4 < present.sum() < 30  # some are kept back, and real clips end
        for name in (beyond, f"flow_{beyond}"):
            assert not batch[name][~present].any()
        errors = {sign: [] for sign in (1, 0, -1)}
        for i in torch.nonzero(present).flatten().tolist():
            seen = torch.nn.functional.interpolate(batch[beyond][i : i + 1], scale_factor=4)[0]
            frame = batch[end][i].permute(1, 2, 0).numpy()
            for sign, found in errors.items():
                found.append(np.abs(brought(seen, sign * batch[f"flow_{beyond}"][i]) - frame).mean())
        right, still, wrong = (np.mean(errors[sign]) for sign in (1, 0, -1))
        assert right < 0.9 * still  # they are blurred to a quarter
        assert wrong > still
    assert (batch["steps"] == 1).all()


def test_without_an_end_nothing_is_told_of_what_is_beyond(scenes):
    batch = Batches(replace(SMALL, absent=0.8, alone=0.0, batch_size=64), scenes).batch(0)
    both = batch["first_present"] & batch["last_present"]
    assert not batch["beyond_present"][~both].any()
    assert batch["beyond_present"][both].any()


def test_crops_that_move_are_preferred(make_cache):
    still, moving = numbered_frames(60) * 0 + 50, numbered_frames(60, 100)
    cache = make_cache(still=(still, "train", None), moving=(moving, "train", None))
    config = replace(SMALL.plain(), batch_size=100, crop=(32, 32), between={1: 1.0})
    share = {
        chance: (Batches(replace(config, moving=chance), cache).batch(0)["first"][:, 0, 0, 0] > 90 / 255).float().mean()
        for chance in (0.0, 1.0)
    }
    assert share[0.0] == pytest.approx(0.5, abs=0.15)
    assert share[1.0] == pytest.approx(0.75, abs=0.12)  # of two candidates, at least one from the clip that moves


def test_plain_data_is_a_window_of_the_cached_frames(make_cache):
    picture = np.random.default_rng(0).integers(0, 255, (1, 96, 128, 3), dtype=np.uint8)
    cache = make_cache(a=(picture.repeat(10, axis=0), "train", None))
    piece = (Batches(SMALL.plain(), cache).batch(0)["first"][0] * 255).round().byte().permute(1, 2, 0).numpy()
    found = cv2.matchTemplate(picture[0], piece, cv2.TM_SQDIFF)
    assert found.min() < 1


def test_a_clip_smaller_than_the_crop_is_enlarged(make_cache):
    batch = Batches(
        replace(SMALL, synthetic=0.0), make_cache(a=(numbered_frames(40, 9, (48, 48)), "train", None))
    ).batch(0)
    assert batch["frames"].shape[-2:] == (64, 96)


def test_footage_is_decoded_into_the_cache_when_it_is_configured(videos, tmp_path):
    cache = open_cache(replace(SMALL, footage=str(videos), cache=str(tmp_path / "cache"), workers=2))
    assert Batches(replace(SMALL, cache=str(cache.folder)), split="train").cache == cache


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": (100, 96)}, r"multiples of 32, got \[100, 96\]"),
        ({"between": {9: 1.0}}, "largest of data.gaps is 8"),
        ({"between": {"one": 1.0}}, "whole numbers to weights"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, **settings)


def test_keys_may_be_text_as_in_some_yaml():
    assert replace(SMALL, between={"3": 1, "1": 2}).between == {1: 2.0, 3: 1.0}


def test_a_cache_without_long_enough_clips_is_refused(make_cache):
    with pytest.raises(UserError, match="no train clip of 5 frames or more"):
        Batches(SMALL, make_cache(a=(numbered_frames(4), "train", None)))


def test_the_clips_of_a_batch_are_named(make_cache):
    """Each clip has values of its own, so that a picture tells which one it is of."""
    starts = {name: 40 * place for place, name in enumerate(("a", "b", "c", "d"))}
    cache = make_cache(**{name: (numbered_frames(20, start), "train", None) for name, start in starts.items()})
    batches = Batches(replace(SMALL.plain(), batch_size=1), cache, rank=1, world=2)
    named = [batches.clips_of(step) for step in range(12)]
    assert all(len(files) <= 2 for files in named)
    for step, files in enumerate(named):
        value = round(batches.batch(step)["first"].mean().item() * 255)
        [name] = [name for name, start in starts.items() if start <= value < start + 20]
        assert name in [file.removesuffix(".mp4") for file in files]
    assert len({tuple(files) for files in named}) > 2


def test_in_the_place_of_a_clip_that_cannot_be_read_come_others(scenes, capsys):
    """As in every process, and nothing else changes."""
    plain = replace(SMALL, synthetic=0.0)
    whole = Batches(plain, scenes)
    lost = next(clip for clip in scenes.clips if clip.split == "train")
    kept = [step for step in range(6) if lost.file not in whole.clips_of(step)]
    before = {step: whole.batch(step) for step in range(6)}
    array = scenes.folder / lost.array
    array.write_bytes(array.read_bytes()[:1000])
    damaged = Batches(plain, scenes)
    for step, batch in before.items():
        found = damaged.batch(step)
        assert lost.file not in damaged.clips_of(step)
        assert {name: tensor.shape for name, tensor in found.items()} == {n: t.shape for n, t in batch.items()}
    for step in kept:
        assert_same(damaged.batch(step), before[step])
    assert capsys.readouterr().err.count(f"{lost.file} cannot be read, other clips are taken in its place") == 1
    halves = [Batches(replace(plain, batch_size=2), scenes, rank=rank, world=2) for rank in (0, 1)]
    together = torch.cat([half.batch(0)["first"] for half in halves])
    assert torch.equal(together, damaged.batch(0)["first"])
    assert Batches(replace(SMALL, synthetic=1.0), scenes).batch(0)["first"].isfinite().all()  # textures of others
    for clip in scenes.clips:
        (scenes.folder / clip.array).unlink()
    with pytest.raises(UserError, match=r"none of the 4 clips in .* can be read"):
        Batches(SMALL, scenes).batch(0)


def test_a_batch_that_does_not_come_is_not_waited_for_without_end(scenes, monkeypatch):
    monkeypatch.setattr("vidcm.data.workers.PATIENCE_S", 0.001)
    with pytest.raises(UserError, match=r"no batch in .* minutes: is the disk of .* still there"):
        next(Batches(SMALL, scenes).iterate(workers=1))
