from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcm.data.batches import Batches, DataConfig
from vidcm.data.drawn import Drawn, flows_to
from vidcm.data.interruptions import flashed, joined, lit

from .clip_makers import numbered_frames, scene_frames

SMALL = DataConfig(crop=(64, 96), batch_size=24, between={1: 1.0}, absent=0.0)
NAMES = ("before", "first", "last", "after")


@pytest.fixture
def scenes(make_cache):
    return make_cache(**{f"clip{seed}": (scene_frames(seed), "train", None) for seed in range(4)})


def shot(seed: int, tau: list[float]) -> Drawn:
    """A moving scene, everything in it present."""
    frames = scene_frames(seed)[: 4 + len(tau)]
    return Drawn(frames, np.array(tau, np.float32), np.ones(2, np.float32), np.ones(2, bool))


def changed(a: Drawn, b: Drawn) -> list[int]:
    return [place for place in range(len(a.frames)) if not np.array_equal(a.frames[place], b.frames[place])]


def test_samples_without_an_interruption_do_not_depend_on_the_shares(scenes):
    plain, rich = (Batches(replace(SMALL, flash=share, cut=share), scenes).batch(0) for share in (0.0, 0.25))
    same = [all(torch.equal(plain[name][row], rich[name][row]) for name in plain) for row in range(SMALL.batch_size)]
    assert 4 <= sum(same) <= 20  # of 24, half are expected


def test_what_is_between_is_never_touched(scenes):
    plain = Batches(SMALL, scenes).batch(0)
    for settings in ({"flash": 1.0}, {"cut": 1.0}):
        found = Batches(replace(SMALL, **settings), scenes).batch(0)
        for name in ("frames", "tau", "steps"):
            assert torch.equal(found[name], plain[name]), (settings, name)


def test_a_flash_lights_one_end_or_the_frame_beyond_it(scenes):
    config = replace(SMALL, alone=0.0)
    plain, found = Batches(config, scenes).batch(0), Batches(replace(config, flash=1.0), scenes).batch(0)
    for name in ("flow_to_first", "flow_to_last"):  # measured where no flash misleads
        torch.testing.assert_close(found[name], plain[name], rtol=0, atol=0)
    lit_places = torch.stack([(found[name] > plain[name] + 0.02).flatten(1).any(1) for name in NAMES])
    assert lit_places.sum(0).max() == 1
    assert lit_places.any(1).all()
    assert all((found[name] >= plain[name]).all() for name in NAMES)
    seen_anew = (found["flow_forward"] != plain["flow_forward"]).flatten(1).any(1)
    assert torch.equal(seen_anew, lit_places[1] | lit_places[2])


def test_a_flash_lights_all_or_a_part_of_the_picture():
    frame = np.full((60, 80, 3), 90, np.uint8)
    shares = [(lit(np.random.default_rng(seed), frame) > 92).mean() for seed in range(60)]
    assert sum(share == 1 for share in shares) > 20
    assert sum(0.1 < share < 0.9 for share in shares) > 15


def test_burnt_out_pictures_stay_in_range():
    frame = np.full((8, 8, 3), 250, np.uint8)
    assert all((lit(np.random.default_rng(seed), frame) >= 250).all() for seed in range(20))


@pytest.mark.parametrize(("tau", "side"), [([0.2, 0.5], "after"), ([0.5, 0.7], "before"), ([0.3, 0.6], None)])
def test_no_frame_in_between_is_nearer_to_the_end_beyond_the_cut(tau, side):
    here, there = shot(0, tau), shot(1, tau)
    places = [changed(here, joined(np.random.default_rng(seed), here, there)) for seed in range(60)]
    expected = {"after": [[0], [4, 5], [5]], "before": [[0], [0, 1], [5]], None: [[0], [5]]}[side]
    assert sorted(set(map(tuple, places))) == sorted(map(tuple, expected))


def test_beyond_a_cut_is_the_other_shot_and_no_motion_leads_there():
    here, there = shot(0, [0.5]), replace(shot(1, [0.5]), beyond_present=np.zeros(2, bool))
    inside = 0
    for seed in range(20):
        found = joined(np.random.default_rng(seed), here, there)
        for place in changed(here, found):
            assert np.array_equal(found.frames[place], there.frames[place])
        crossed = [flow is not None for flow in found.known]
        assert crossed == [1 in changed(here, found), 3 in changed(here, found)]
        assert list(found.beyond_present) == [not across for across in crossed]  # the other shot has no more frames
        assert all(not found.known[side].any() for side in range(2) if crossed[side])
        inside += any(crossed)
    assert 6 < inside < 20


def test_interrupting_leaves_what_it_was_given_alone():
    here, there = shot(0, [0.5]), shot(1, [0.5])
    copies = here.frames.copy(), there.frames.copy()
    for seed in range(8):
        flashed(np.random.default_rng(seed), here), joined(np.random.default_rng(seed), here, there)
    assert np.array_equal(here.frames, copies[0])
    assert np.array_equal(there.frames, copies[1])
    assert here.known == (None, None)


def test_exact_motion_of_rendered_scenes_outlives_a_flash():
    here = shot(0, [0.5])
    exact = (np.full((2, 1, 16, 24), 0.25, np.float32), np.full((2, 1, 16, 24), -0.25, np.float32))
    for seed in range(8):
        found = flashed(np.random.default_rng(seed), replace(here, known=exact))
        assert found.known[0] is exact[0]
        assert found.known[1] is exact[1]


def test_motion_to_a_lit_end_is_that_to_the_end_without_the_flash():
    here = shot(0, [0.5])
    seen = set()
    for seed in range(12):
        found = flashed(np.random.default_rng(seed), here)
        for side, place in ((0, 1), (1, -2)):
            if found.known[side] is not None:
                seen.add(side)
                np.testing.assert_array_equal(found.known[side], flows_to(here.frames[2:-2], here.frames[place]))
    assert seen == {0, 1}


def test_the_other_shot_comes_from_a_clip_that_is_named(make_cache):
    """Each clip has values of its own; a NaN is traced to the files that a step names."""
    starts = {name: 40 * place for place, name in enumerate("abcd")}
    cache = make_cache(**{name: (numbered_frames(20, start), "train", None) for name, start in starts.items()})
    batches = Batches(replace(SMALL.plain(), batch_size=1, cut=1.0), cache)
    crossed = 0
    for step in range(12):
        batch, named = batches.batch(step), batches.clips_of(step)
        seen = {
            name
            for end in ("first", "last")
            for name, start in starts.items()
            if start <= round(batch[end].mean().item() * 255) < start + 20
        }
        assert seen <= {file.removesuffix(".mp4") for file in named}
        crossed += len(seen) == 2
    assert crossed > 1


def test_where_an_end_is_absent_nothing_interrupts(scenes):
    config = replace(SMALL, absent=1.0)
    plain, found = (Batches(replace(config, flash=share), scenes).batch(0) for share in (0.0, 1.0))
    assert all(torch.equal(plain[name], found[name]) for name in plain)


def test_what_lies_beyond_a_cut_is_of_another_source(make_cache):
    """Also where most of an epoch is one clip."""
    cache = make_cache(
        long=(np.tile(scene_frames(0), (8, 1, 1, 1)), "train", None), short=(scene_frames(1), "train", None)
    )
    pool = Batches(SMALL, cache).source.pool
    for number in range(pool.samples_per_epoch):
        other = pool.elsewhere(number)
        own = {clip.file for clip, _ in pool.anchors(number)}
        assert other is None or not own & {clip.file for clip, _ in other}


def test_of_one_source_there_is_nothing_beyond_a_cut(make_cache):
    alone = make_cache(long=(scene_frames(0), "train", None))
    cut, plain = (Batches(replace(SMALL, cut=share), alone).batch(0) for share in (1.0, 0.0))
    assert all(torch.equal(cut[name], plain[name]) for name in plain)
