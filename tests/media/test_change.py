"""A repeated picture is told from a moving one, also where compression changed it."""

import numpy as np
import pytest

from vidcm.media.change import change, is_repeat, look


def shifted(pixels: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """uint8 RGB [192, 256, 3]: patches 8 pixels wide, moved to the left."""
    cells = np.random.default_rng(7).uniform(30, 225, (24, 48))
    plane = np.kron(cells, np.ones((8, 8)))[:, pixels : pixels + 256]
    plane = plane + np.random.default_rng(seed).normal(0, noise, plane.shape)
    return np.repeat(np.clip(plane, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return change(look(a), look(b))


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_a_picture_shown_again_is_a_repeat_in_a_moving_scene(noise):
    motion = between(shifted(0, noise, seed=1), shifted(3, noise, seed=2))
    assert is_repeat(between(shifted(3, noise, seed=2), shifted(3, noise, seed=3)), motion)
    assert not is_repeat(between(shifted(3, noise, seed=2), shifted(4, noise, seed=3)), motion)


def test_noise_alone_is_no_repeat_where_nothing_is_known_to_move():
    now = between(shifted(0, 5.0, seed=1), shifted(0, 5.0, seed=2))
    assert now.max() > 1
    assert not is_repeat(now, None)
    assert is_repeat(between(shifted(0), shifted(0)), None)


def test_a_small_thing_that_moves_is_seen():
    before, after = shifted(0), shifted(0)
    before[90:102, 100:112] = 250
    after[90:102, 104:116] = 250
    assert between(before, after).max() > 20
