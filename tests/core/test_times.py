"""Training's noise levels and the samplers' schedules."""

import math
from itertools import pairwise

import pytest
import torch

from vidcm.core.circle import PURE_NOISE
from vidcm.core.times import (
    START_ANGLE,
    T_MAX,
    edm_angles,
    edm_weight,
    flow_angles,
    log_normal,
    uniform_angles,
    with_share_at,
)


def seeded():
    return torch.Generator().manual_seed(0)


def test_log_normal_has_the_mean_and_spread_asked_for():
    log_t = log_normal((200_000,), -0.4, 2.0, generator=seeded()).log()
    assert float(log_t.mean()) == pytest.approx(-0.4, abs=0.02)  # standard error 0.005
    assert float(log_t.std()) == pytest.approx(2.0, abs=0.02)


def test_the_share_at_a_value_is_the_share_asked_for():
    assert with_share_at(torch.ones(5, device="meta"), 0.0, 0.5, generator=seeded()).device.type == "meta"
    t = with_share_at(torch.ones(100_000), math.inf, 0.05, generator=seeded())
    assert float(t.isinf().float().mean()) == pytest.approx(0.05, abs=0.003)  # standard error 0.0007


def test_edm_weight_is_the_papers_and_finite_at_pure_noise():
    sigma, sigma_data = torch.tensor([0.01, 0.5, 80.0], dtype=torch.float64), 0.5
    paper = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    # in units of data variance: the paper's error is sigma_data^2 times ours
    torch.testing.assert_close(edm_weight((sigma / sigma_data).atan()), paper * sigma_data**2)
    assert edm_weight(torch.tensor(PURE_NOISE)) == 1


@pytest.mark.parametrize("steps", [1, 2, 40])
@pytest.mark.parametrize(
    ("schedule", "start"), [(edm_angles, START_ANGLE), (uniform_angles, START_ANGLE), (flow_angles, PURE_NOISE)]
)
def test_schedules_fall_from_their_start_to_zero(schedule, start, steps):
    angles = schedule(steps)
    assert len(angles) == steps + 1
    assert angles[0] == pytest.approx(start, abs=1e-12)
    assert angles[-1] == 0
    assert all(a > b for a, b in pairwise(angles))


def test_edm_angles_are_the_papers_sigmas():
    """arXiv:2206.00364, eq. 5 with N = 18, rho = 7, sigma in [0.002, 80]: its second value is 57.586."""
    sigmas = [0.5 * math.tan(angle) for angle in edm_angles(18)]
    assert sigmas[0] == pytest.approx(80)
    assert sigmas[1] == pytest.approx((80 ** (1 / 7) + (0.002 ** (1 / 7) - 80 ** (1 / 7)) / 17) ** 7)
    assert sigmas[1] == pytest.approx(57.586, abs=1e-3)
    assert sigmas[17] == pytest.approx(0.002)


def test_a_shift_of_flow_scales_t():
    for plain, shifted in zip(flow_angles(10)[1:-1], flow_angles(10, shift=3.0)[1:-1], strict=True):
        assert math.tan(shifted) == pytest.approx(3 * math.tan(plain))


def test_samplers_start_where_consistency_training_ends():
    assert math.tan(START_ANGLE) == pytest.approx(T_MAX)
