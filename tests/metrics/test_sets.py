"""Distances between sets of points: closed forms, and what they read where there is nothing to see."""

import math

import pytest
import torch

from vidcm.metrics.floor import halves, judged
from vidcm.metrics.kernel import median_distance, polynomial_distance, rbf_distance
from vidcm.metrics.neighbours import diversity, precision, reach, recall
from vidcm.metrics.sliced import sliced_wasserstein, wasserstein2_squared

DISTANCES = [sliced_wasserstein, polynomial_distance, rbf_distance]


def normal(count, dimensions=4, seed=0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_moving_every_coordinate_by_s_is_a_sliced_distance_of_s():
    """As the mean over directions of <s 1, d>^2 is s^2; 4096 directions leave 1.5% of that."""
    points = normal(50, 6)
    assert sliced_wasserstein(points, points + 0.7, directions=4096) == pytest.approx(0.7, rel=0.03)
    assert sliced_wasserstein(points, points.flip(0)) == pytest.approx(0, abs=1e-9)


def test_scaling_a_gaussian_is_a_sliced_distance_of_the_difference():
    points = normal(4000, 3)
    assert sliced_wasserstein(points, 1.5 * points) == pytest.approx(0.5, rel=0.02)


def test_sets_of_different_sizes_are_compared_by_their_quantiles():
    """Three points against two: thirds and halves meet at the sixths. By hand: (2 * 0 + 1 * 4 + 1 * 1 + 2 * 9) / 6."""
    three, two = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[5.0], [0.0]])
    by_hand = (2 * 0 + 1 * (1 - 0) ** 2 + 1 * (1 - 5) ** 2 + 2 * (2 - 5) ** 2) / 6
    assert wasserstein2_squared(three, two).item() == pytest.approx(by_hand)
    assert wasserstein2_squared(two, three).item() == pytest.approx(by_hand)
    points = normal(30, 2)
    assert wasserstein2_squared(points, points.repeat(3, 1)).tolist() == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_the_rbf_distance_of_two_gaussians_is_its_closed_form(shift):
    """E k(x, x') = (h^2 / (h^2 + 2))^(D/2), and exp(-|m|^2 / (2 (h^2 + 2))) times that across."""
    h, dimensions = 2.0, 3
    same = (h**2 / (h**2 + 2)) ** (dimensions / 2)
    truth = 2 * same * (1 - math.exp(-dimensions * shift**2 / (2 * (h**2 + 2))))
    found = rbf_distance(normal(3000, 3), normal(3000, 3, seed=1) + shift, bandwidth=h)
    assert found == pytest.approx(truth, rel=0.04, abs=0.008)


@pytest.mark.parametrize("distance", [polynomial_distance, rbf_distance])
def test_kernel_distances_are_unbiased_however_few_points_there_are(distance):
    """The mean over 400 pairs of sets of 6: biased ones would stand at E k(x, x) / 6 or so, over 0.2."""
    found = torch.tensor([distance(normal(6, seed=i), normal(6, seed=10_000 + i)) for i in range(400)])
    assert abs(found.mean()) < 3 * found.std() / 20
    assert found.min() < 0


def test_the_polynomial_kernel_is_the_one_of_kid():
    """Term by term, without the pairs of one point with itself."""
    x, y = normal(4, 3), normal(5, 3, seed=1)

    def k(a, b):
        return float((a @ b / 3 + 1) ** 3)

    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 12
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 20
    xy = sum(k(a, b) for a in x for b in y) / 20
    assert polynomial_distance(x, y) == pytest.approx(xx + yy - 2 * xy)


def test_the_bandwidth_is_the_references_median_distance():
    reference = torch.tensor([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
    assert median_distance(reference) == 2
    assert rbf_distance(normal(9, 1), reference) == rbf_distance(normal(9, 1), reference, bandwidth=2.0)


def two_kinds(count, seed=0):
    """Half the points about -10, half about 10."""
    return normal(count, dimensions=2, seed=seed) + torch.tensor([-10.0, 10.0]).repeat(count // 2)[:, None]


def test_a_kind_that_is_missing_costs_recall_and_one_too_many_precision():
    both, one = two_kinds(100), two_kinds(100, seed=1)[::2]
    assert precision(one, both) > 0.8
    assert recall(one, both) == pytest.approx(0.5, abs=0.1)
    assert precision(both, one) == pytest.approx(0.5, abs=0.1)
    assert recall(both, one) > 0.8


def test_reach_is_the_distance_to_the_kth_other_point():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert reach(points, 1).tolist() == [1, 1, 2, 4]
    assert reach(points, 3).tolist() == [7, 6, 4, 7]


def test_samples_that_crowd_are_less_diverse():
    points = normal(60)
    assert diversity(0.3 * points + 5, points) == pytest.approx(0.3)
    assert diversity(points[:1].repeat(60, 1), points) == 0


# The noise floor


def test_halves_are_disjoint_and_whole_and_keep_groups_together():
    names = [number // 7 for number in range(60)]
    for one, other in halves(60, names, splits=5):
        assert sorted([*one.tolist(), *other.tolist()]) == list(range(60))
        assert {names[i] for i in one}.isdisjoint(names[i] for i in other)
        assert abs(len(one) - len(other)) <= 7
    [first, second] = halves(60, names, splits=2)
    assert first[0].tolist() != second[0].tolist()


def test_held_out_clips_of_one_source_cannot_be_halved():
    with pytest.raises(ValueError, match="at least two sources"):
        halves(5, ["a"] * 5)


@pytest.mark.parametrize("metric", DISTANCES)
def test_samples_of_the_same_law_stand_at_the_noise_floor_and_others_above(metric):
    reference = normal(400)
    same, other = (judged(metric, samples, reference) for samples in (normal(600, seed=1), normal(600, seed=1) + 0.5))
    assert abs(same.value - same.floor) < 4 * same.deviation + 0.02
    assert other.value > other.floor + 10 * other.deviation
    assert same.floor == judged(metric, reference, reference).floor


def test_samples_are_compared_in_the_number_of_the_half_that_they_stand_for():
    seen = []
    judged(lambda a, b: seen.append((len(a), len(b))) or 0.0, normal(90), normal(40), splits=3)
    assert set(seen) == {(20, 20)}


def test_paired_samples_never_meet_the_clip_that_they_were_told():
    seen = []
    numbered = torch.arange(20.0)[:, None]
    judged(
        lambda a, b: seen.append((a.flatten().tolist(), b.flatten().tolist())) or 0.0, numbered, numbered, paired=True
    )
    for samples, held in seen:
        assert sorted([*samples, *held]) == list(range(20))


def test_groups_that_differ_raise_the_floor():
    shift = torch.arange(12).repeat_interleave(10)
    reference = normal(120) + (shift % 5)[:, None]
    apart, mixed = (
        judged(sliced_wasserstein, reference, reference, groups=groups) for groups in (shift.tolist(), None)
    )
    assert apart.floor > 1.5 * mixed.floor
