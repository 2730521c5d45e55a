"""Rank correlation against its closed forms."""

import math

import pytest
import torch

from vidcm.metrics.rank import rank_correlation, ranks


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks(torch.tensor([30.0, 10.0, 20.0, 20.0, 5.0])).tolist() == [4, 1, 2.5, 2.5, 0]


def test_any_rising_curve_is_one_and_any_falling_one_minus_one():
    x = torch.rand(50, generator=torch.Generator().manual_seed(0))
    assert rank_correlation(x, x.exp() + x**3) == pytest.approx(1)
    assert rank_correlation(x, -x.log()) == pytest.approx(-1)


def test_without_ties_it_is_spearmans_sum_of_squared_differences():
    a, b = (torch.randperm(40, generator=torch.Generator().manual_seed(seed)).float() for seed in (1, 2))
    assert rank_correlation(a, b) == pytest.approx(1 - 6 * float((a - b).square().sum()) / (40 * (40**2 - 1)))


def test_what_is_all_equal_has_no_order():
    assert math.isnan(rank_correlation(torch.ones(5), torch.rand(5)))
