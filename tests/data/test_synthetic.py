import cv2
import numpy as np
import pytest

from vidcm.data import synthetic
from vidcm.data.synthetic import Motion, random_scene, random_times, visible_layer

from .clip_makers import moving_scene


def look_up(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """picture at p + flow(p), for every p."""
    y, x = np.indices(flow.shape[1:], dtype=np.float32)
    return cv2.remap(picture, x + flow[0], y + flow[1], cv2.INTER_LINEAR)


def seen_in_both(scene, cover, other_cover, flow) -> np.ndarray:
    """Where the layer seen at p is also the one seen at p + flow(p), away from outlines and inside the frame."""
    height, width = flow.shape[1:]
    y, x = np.indices((height, width), dtype=np.float32)
    x, y = x + flow[0], y + flow[1]
    inside = (x > 1) & (y > 1) & (x < width - 2) & (y < height - 2)
    here, there = visible_layer(cover, 1), visible_layer(other_cover, 1)
    moved = cv2.remap(there.astype(np.float32), x, y, cv2.INTER_NEAREST)
    solid = cv2.erode(np.isin(cover, (0, 255)).all(axis=0).astype(np.uint8), np.ones((5, 5)))
    solid_there = cv2.erode(np.isin(other_cover, (0, 255)).all(axis=0).astype(np.uint8), np.ones((5, 5)))
    return inside & (here == moved) & (solid > 0) & (cv2.remap(solid_there, x, y, cv2.INTER_NEAREST) > 0)


def warp_error(scene, t: float, s: float, sign: float) -> float:
    """Mean absolute difference of the frame at t and the frame at s brought to it, where both see the same."""
    (frame, cover), (other, other_cover) = scene.render(t), scene.render(s)
    flow = scene.flow(cover, t, s, factor=1)
    where = seen_in_both(scene, cover, other_cover, flow)
    assert where.mean() > 0.2
    difference = cv2.absdiff(
        cv2.GaussianBlur(frame, (5, 5), 0), cv2.GaussianBlur(look_up(other, sign * flow), (5, 5), 0)
    )
    return float(difference[where].mean())


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_flow_brings_an_end_to_the_frame_in_between(end):
    right = [warp_error(moving_scene(seed), 0.375, end, 1.0) for seed in range(12)]
    wrong = [warp_error(moving_scene(seed), 0.375, end, -1.0) for seed in range(12)]
    assert np.mean(right) < 1.5  # interpolation of textures with detail at the pixel, in grey levels of 255
    assert np.mean(wrong) > 5 * np.mean(right)


def test_the_coarse_flow_is_the_mean_of_the_fine_one_in_coarse_pixels_where_one_layer_is_seen():
    scene = moving_scene(3)
    _, cover = scene.render(0.25)
    fine, coarse = (scene.flow(cover, 0.25, 1.0, factor) for factor in (1, 4))
    owner = visible_layer(cover, 1).reshape(30, 4, 40, 4)
    alone = (owner == owner[:, :1, :, :1]).all(axis=(1, 3)) & (owner[:, 0, :, 0] == visible_layer(cover, 4))
    mean = fine.reshape(2, 30, 4, 40, 4).mean(axis=(2, 4)) / 4
    assert alone.mean() > 0.5
    np.testing.assert_allclose(coarse[:, alone], mean[:, alone], atol=1e-4)


def test_there_and_back_is_nowhere():
    motion = Motion(np.array([10.0, 20.0]), np.array([7.0, -3.0]), np.array([0.5, 1.0]), 0.3, 0.1, 0.4)
    np.testing.assert_allclose(motion.at(0.0), np.eye(3), atol=1e-12)
    centre = np.array([10.0, 20.0, 1.0])
    np.testing.assert_allclose((motion.at(1.0) @ centre)[:2], [17.0, 17.0], atol=1e-12)
    assert not np.allclose((motion.at(0.5) @ centre)[:2], [13.5, 18.5])  # bent: not halfway at half time


def test_motion_is_often_small_and_sometimes_large():
    largest = []
    for seed in range(60):
        scene = moving_scene(seed)
        _, cover = scene.render(0.0)
        largest.append(np.linalg.norm(scene.flow(cover, 0.0, 1.0, 1), axis=0).max())
    share = np.array(largest) / 160
    assert (share < 0.08).mean() > 0.1
    assert (share > 0.16).mean() > 0.1  # camera and layer add up to more than either


def test_things_are_hidden_and_uncovered():
    hidden = []
    for seed in range(20):
        scene = moving_scene(seed)
        (_, cover), (_, other) = scene.render(0.0), scene.render(1.0)
        flow = scene.flow(cover, 0.0, 1.0, 1)
        y, x = np.indices((120, 160), dtype=np.float32)
        there = visible_layer(other, 1).astype(np.float32)
        moved = cv2.remap(there, x + flow[0], y + flow[1], cv2.INTER_NEAREST, borderValue=-1)
        hidden.append(((moved != visible_layer(cover, 1)) & (moved >= 0)).mean())
    assert np.mean(hidden) > 0.01


def test_a_scene_depends_on_its_generator_alone():
    first, again, other = (moving_scene(seed).render(0.5)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_instants_are_distinct_in_order_and_strictly_inside():
    for seed in range(20):
        times = random_times(np.random.default_rng(seed), 3)
        assert 0 < times[0] < times[1] < times[2] < 1
        assert all(float(np.float32(t)) == t for t in times)


def test_a_label_stands_still_whatever_moves_behind_it(monkeypatch):
    monkeypatch.setattr(synthetic, "LABELLED", 1.0)
    opaque = 0
    for seed in range(12):
        scene = random_scene(np.random.default_rng(seed), 64, 96)
        (first, cover), (last, cover_later) = scene.render(0.0), scene.render(1.0)
        np.testing.assert_array_equal(cover[-1], cover_later[-1])
        assert cover[-1].any()
        held = cover[-1] == 255
        opaque += held.any()
        np.testing.assert_array_equal(first[held], last[held])
        flow = scene.flow(cover, 0.0, 1.0, factor=1)
        assert (flow[:, held] == 0).all()
    assert opaque


def test_what_is_behind_a_sheer_sprite_shines_through(monkeypatch):
    monkeypatch.setattr(synthetic, "LABELLED", 0.0)
    monkeypatch.setattr(synthetic, "SHEER", 1.0)
    _, cover = random_scene(np.random.default_rng(0), 64, 96).render(0.5)
    assert 0 < cover[1:].max() <= 0.8 * 255
