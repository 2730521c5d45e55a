import pytest
import torch

from vidcm.models.motion_code import DEAD, compress, expand, parts, significant, surprise, visibility


def some(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_expanding_undoes_compressing():
    correction, doubt = 2 * some(3, 5, 5, 6), some(3, 5, 5, 6, seed=1).exp() + 0.5
    torch.testing.assert_close(expand(compress(parts(correction), doubt), doubt), correction, atol=1e-4, rtol=1e-4)


def test_what_both_flows_share_and_what_they_differ_by_are_written_apart():
    doubt = torch.ones(1, 5, 1, 1)
    both = torch.tensor([0.5, -1.0, 0.5, -1.0, 0.0]).view(1, 5, 1, 1)
    code = compress(parts(both), doubt).flatten()
    torch.testing.assert_close(code[:2], torch.tensor([0.5, -1.0]).asinh())
    assert not code[2:].any()
    apart = torch.tensor([-0.5, 0.0, 0.5, 0.0, -1.0]).view(1, 5, 1, 1)
    code = compress(parts(apart), doubt).flatten()
    torch.testing.assert_close(code, torch.tensor([0.0, 0.0, 1.0, 0.0, -1.0]).asinh())


def test_a_code_means_as_much_as_is_doubted():
    code = some(1, 5, 2, 2)
    torch.testing.assert_close(expand(code, torch.full_like(code, 0.1)), 0.1 * expand(code, torch.ones_like(code)))


def test_corrections_within_the_noise_are_not_written_and_large_ones_are_left_whole():
    dead = torch.tensor(DEAD).view(1, 5, 1, 1)
    torch.testing.assert_close(significant(0.1 * dead), 0.1 * dead / 101)
    torch.testing.assert_close(significant(-dead), -dead / 2)
    torch.testing.assert_close(significant(30 * dead), 30 * dead, atol=0, rtol=2e-3)
    assert not significant(0 * dead).any()


def test_a_code_of_any_size_moves_a_bounded_way():
    assert expand(torch.full((1, 5, 1, 1), 1e9), torch.ones(1, 5, 1, 1)).abs().max() < 20


@pytest.mark.parametrize("length", [0.2, 3.0])
def test_surprise_is_least_where_doubt_is_the_mean_length(length):
    first, last = (
        0.5 * length,
        1.5 * length,
    )  # common part and match are `length` long
    correction = torch.tensor([first, -first, last, -last, length]).view(1, 5, 1, 1)
    doubts = [share * length for share in (0.25, 0.5, 1.0, 2.0, 4.0)]
    told = [surprise(parts(correction), torch.full_like(correction, doubt)).item() for doubt in doubts]
    assert min(range(5), key=told.__getitem__) == 2


def test_visibility_tells_which_end_shows_the_truth():
    truth, other = some(1, 3, 4, 4).sigmoid(), torch.zeros(1, 3, 4, 4)
    assert visibility(truth, truth, other).mean() > 0.8
    assert visibility(truth, other, truth).mean() < -0.8
    assert visibility(truth, truth + 1 / 255, truth - 1 / 255).abs().max() < 1e-3
