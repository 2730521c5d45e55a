"""Scene-linear light: a curve that rises all the way and comes back, and layers that may be mixed."""

import numpy as np
import pytest

from vidcm.media.light import BRIGHTEST, PLANES, SLOPE, display, frame_of, layered, light_of, linear, lit

LADDER = np.concatenate([-np.geomspace(10, 1e-6, 40), [0], np.geomspace(1e-6, BRIGHTEST, 200)]).astype(np.float32)


def test_the_curve_rises_and_comes_back():
    shown = display(LADDER)
    assert (np.diff(shown) > 0).all()
    np.testing.assert_allclose(linear(shown), LADDER, rtol=2e-5, atol=1e-9)


def test_up_to_white_it_is_that_of_srgb_and_goes_on_as_steep():
    np.testing.assert_allclose(display(np.array([0, 0.0031308, 0.2140411, 1])), [0, 0.04045, 0.5, 1], atol=2e-5)
    step = np.array([1 - 1e-3, 1, 1 + 1e-3])
    left, right = np.diff(display(step)) / 1e-3
    assert left == pytest.approx(SLOPE, rel=2e-3)
    assert right == pytest.approx(SLOPE, rel=2e-3)


@pytest.mark.parametrize("channels", [3, 4])
def test_layers_are_a_picture_and_what_is_beyond_it(channels):
    light = np.random.default_rng(0).uniform(-0.1, 40, (6, 8, channels)).astype(np.float32)
    light[0, 0, :3], light[..., 3:] = -0.05, light[..., 3:].clip(0, 1)
    layers = layered(light)
    assert layers.shape == (6, 8, channels + 3)
    assert (layers[..., :3].min(), layers[..., :3].max()) == (0, 1)
    np.testing.assert_allclose(lit(layers), light, rtol=3e-5, atol=1e-6)


def test_what_is_no_number_is_black_to_the_network_and_nothing_is_brighter_than_half_floats():
    found = display(np.array([np.nan, np.inf, -np.inf], np.float32))
    assert np.isfinite(found).all()
    assert found[0] == 0
    assert linear(np.array([9.0]))[0] == pytest.approx(BRIGHTEST, rel=1e-5)


@pytest.mark.parametrize("pix_fmt", PLANES)
def test_frames_hold_the_very_values(pix_fmt):
    light = np.random.default_rng(1).normal(size=(48, 70, 3 + ("a" in pix_fmt))).astype(np.float32)
    np.testing.assert_array_equal(light_of(frame_of(light, pix_fmt)), light)
