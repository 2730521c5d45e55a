"""Running averages against sums written out."""

import pytest
import torch

from vidcm.core.ema import EMA, FixedDecay, PowerDecay, gamma_of_width, width_of_gamma

STEPS = 200


def history():
    """A parameter that moves: [STEPS + 1] values, the first before training."""
    return torch.randn(STEPS + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(0)


def averaged(decay, values):
    ema = EMA([("w", values[:1])], decay)
    for value in values[1:]:
        ema.update([("w", value[None])])
    return ema


def test_a_fixed_decay_is_the_geometric_sum():
    values, beta = history(), 0.9

    weights = torch.tensor([(1 - beta) * beta ** (STEPS - i) for i in range(1, STEPS + 1)], dtype=torch.float64)
    expected = beta**STEPS * values[0] + (weights * values[1:]).sum()
    torch.testing.assert_close(averaged(lambda step: beta, values).averages["w"][0], expected)


def test_a_fixed_decay_warms_up_to_beta():
    decay = FixedDecay(0.999)
    assert decay(1) == 2 / 11
    assert decay(8980) < 0.999
    assert decay(8990) == decay(10**6) == 0.999


@pytest.mark.parametrize("sigma_rel", [0.05, 0.10, 0.28])
def test_a_power_decay_is_the_papers_product_and_forgets_the_start(sigma_rel):
    values, gamma = history(), gamma_of_width(sigma_rel)
    step = torch.arange(1, STEPS + 1, dtype=torch.float64)
    weights = step ** (gamma + 1) - (step - 1) ** (gamma + 1)  # what prod (1 - 1/n)^(gamma + 1) telescopes to
    expected = (weights / STEPS ** (gamma + 1) * values[1:]).sum()
    torch.testing.assert_close(averaged(PowerDecay(sigma_rel), values).averages["w"][0], expected)


def test_a_power_profile_has_the_width_asked_for():
    gamma = gamma_of_width(0.10)
    step = torch.arange(1, 100_001, dtype=torch.float64) / 100_000
    profile = step**gamma / (step**gamma).sum()
    mean = (profile * step).sum()
    assert float((profile * (step - mean) ** 2).sum().sqrt()) == pytest.approx(0.10, abs=1e-4)
    assert gamma == pytest.approx(6.94, abs=0.005)  # the value that EDM2 states for 10 percent
    assert gamma_of_width(0.05) == pytest.approx(16.97, abs=0.005)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 6.94, 16.97, 150.0])
def test_width_and_gamma_are_inverse(gamma):
    assert gamma_of_width(width_of_gamma(gamma)) == pytest.approx(gamma, abs=1e-6)


@pytest.mark.parametrize("width", [0.0, -0.1, 0.3])
def test_an_impossible_width_is_refused_with_the_limit(width):
    with pytest.raises(ValueError, match=r"0\.2887"):
        gamma_of_width(width)


def test_half_precision_parameters_are_averaged_in_float32():
    weight = torch.ones(4, dtype=torch.bfloat16)
    ema = EMA([("w", weight)], lambda step: 0.999)
    ema.update([("w", weight + 1)])  # a step of 0.001, which bfloat16 rounds away
    assert ema.averages["w"].dtype == torch.float32
    torch.testing.assert_close(ema.averages["w"], torch.full((4,), 1.001))
    ema.copy_to([("w", weight)])
    assert weight.equal(torch.ones(4, dtype=torch.bfloat16))


def test_a_resumed_average_continues_exactly():
    values = history()
    whole = averaged(PowerDecay(0.1), values)
    first = averaged(PowerDecay(0.1), values[:101])
    second = EMA([("w", torch.zeros(1, dtype=torch.float64))], PowerDecay(0.1))
    second.load_state_dict(first.state_dict())
    for value in values[101:]:
        second.update([("w", value[None])])
    assert second.step == whole.step == STEPS
    assert second.averages["w"].equal(whole.averages["w"])


def test_a_saved_state_does_not_move_with_later_updates():
    ema = averaged(FixedDecay(), history())
    state = ema.state_dict()
    before = state["averages"]["w"].clone()
    ema.update([("w", torch.full((1,), 9.0, dtype=torch.float64))])
    assert state["averages"]["w"].equal(before)


def test_averages_of_other_parameters_are_refused_by_name():
    ema = EMA([("w", torch.zeros(1))], FixedDecay())
    with pytest.raises(KeyError, match="bias"):
        ema.load_state_dict({"step": 3, "averages": {"bias": torch.zeros(1)}})
