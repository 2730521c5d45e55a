import av
import pytest
import torch

from tests.evaluation.conftest import panning
from vidcm.evaluation.baselines import BASELINES, from_bytes, to_bytes

TAUS = (0.25, 0.5, 0.75)
NEEDS_FILTER = pytest.mark.skipif("minterpolate" not in av.filter.filters_available, reason="FFmpeg without the filter")
NAMES = [pytest.param(name, marks=NEEDS_FILTER) if name == "minterpolate" else name for name in BASELINES]


@pytest.fixture(scope="module")
def pan():
    """A pan by 8 pixels in 4 frames: first, three between, last, [5, 3, 96, 160]."""
    return torch.stack([from_bytes(frame) for frame in panning(5, speed=2, height=96, width=160)])


def rms(frames, truth):
    """Away from the border, which no method can know. [3, K, H, W] and [K, 3, H, W]."""
    return (frames.transpose(0, 1) - truth)[..., 16:-16, 16:-16].square().mean().sqrt()


@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_keeps_the_interpolator_contract(name, pan):
    frames = BASELINES[name](pan[0], pan[-1], TAUS, shot=3, position=7)
    assert frames.shape == (3, 3, 96, 160)
    assert frames.dtype == torch.float32
    assert frames.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_end_is_replaced_by_holding_the_other(name, pan):
    for ends in ((pan[0], None), (None, pan[0])):
        torch.testing.assert_close(BASELINES[name](*ends, TAUS), pan[0][:, None].expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", NAMES)
def test_between_equal_frames_lies_that_frame(name, pan):
    frames = BASELINES[name](pan[0], pan[0], TAUS)
    assert (frames - pan[0][:, None]).abs().mean() < 2 / 255  # minterpolate goes through 8-bit YUV


def test_hold_shows_the_nearer_frame():
    first, last = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    assert BASELINES["hold"](first, last, [0.1, 0.5, 0.51, 0.9])[0, :, 0, 0].tolist() == [0, 0, 1, 1]


def test_crossfade_weighs_by_nearness():
    first, last = torch.zeros(3, 4, 4), torch.ones(3, 4, 4)
    assert BASELINES["crossfade"](first, last, TAUS)[0, :, 0, 0].tolist() == pytest.approx(TAUS)


@pytest.mark.parametrize(("name", "share"), [("dis", 0.1), pytest.param("minterpolate", 0.5, marks=NEEDS_FILTER)])
def test_motion_compensation_puts_a_pan_where_it_was(name, share, pan):
    found = rms(BASELINES[name](pan[0], pan[-1], TAUS), pan[1:-1])
    assert found < share * rms(BASELINES["crossfade"](pan[0], pan[-1], TAUS), pan[1:-1])


@NEEDS_FILTER
def test_minterpolate_answers_in_the_order_asked(pan):
    swapped = BASELINES["minterpolate"](pan[0], pan[-1], TAUS[::-1])
    torch.testing.assert_close(swapped.flip(1), BASELINES["minterpolate"](pan[0], pan[-1], TAUS))


def test_bytes_and_back_change_nothing():
    frame = panning(1)[0]
    assert (to_bytes(from_bytes(frame)) == frame).all()
