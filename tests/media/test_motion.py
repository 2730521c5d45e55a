"""The flow convention: where a pixel of the first picture is found in the second."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vidcm.media.motion import PRESETS, dis_flow, grey, reduce_flow


def texture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (height // 4, width // 4))
    return np.kron(coarse, np.ones((4, 4))).astype(np.uint8)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("dx", "dy"), [(5, 0), (0, -3), (-4, 2)])
def test_a_shifted_texture_gives_its_shift(preset, dx, dy):
    a = texture(96, 128)
    flow = dis_flow(a, np.roll(a, (dy, dx), axis=(0, 1)), preset)
    assert flow.shape == (2, 96, 128)
    assert flow.dtype == np.float32
    inner = np.median(flow[:, 16:-16, 16:-16], axis=(1, 2))
    np.testing.assert_allclose(inner, (dx, dy), atol=0.5)


def test_reducing_a_flow_averages_cells_in_coarse_pixels():
    flow = np.zeros((2, 8, 12), np.float32)
    flow[0], flow[1, :4] = 8, 4
    reduced = reduce_flow(flow, 4)
    assert reduced.shape == (2, 2, 3)
    np.testing.assert_array_equal(reduced[0], 2)
    np.testing.assert_array_equal(reduced[1], [[1, 1, 1], [0, 0, 0]])


def test_grey_is_the_luma_of_bt601():
    primaries = np.eye(3, dtype=np.uint8)[None] * 255
    np.testing.assert_allclose(grey(primaries)[0], [76, 150, 29], atol=1)


@pytest.mark.parametrize("preset", PRESETS)
def test_small_pictures_leave_no_trace(preset):
    """DIS chooses other scales for them, and would go on with those."""
    a = texture(96, 128)
    b = np.roll(a, (3, -5), axis=(0, 1))
    before = dis_flow(a, b, preset)
    small = [np.ascontiguousarray(picture[:16, :24]) for picture in (a, b)]
    tiny = dis_flow(*small, preset)
    np.testing.assert_array_equal(dis_flow(a, b, preset), before)
    np.testing.assert_array_equal(dis_flow(*small, preset), tiny)


def test_threads_do_not_meddle_with_each_other():
    rng = np.random.default_rng(0)
    pairs = [rng.integers(0, 256, (2, 64, 96), np.uint8) for _ in range(16)]
    wanted = [dis_flow(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            found = list(pool.map(lambda pair: dis_flow(*pair), pairs))
            assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
