import math

import pytest
import torch

from vidcm.models.acceleration import CELL, HINTS
from vidcm.models.belief import FARTHEST, MOST, QUIET, Belief, disbelief, drawn, told_finely
from vidcm.models.motion_code import PARTS

SIZE = (3, 5)


@pytest.fixture
def belief() -> Belief:
    """Not as it begins, where it believes a fixed share of everything."""
    torch.manual_seed(0)
    net = Belief()
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    return net.eval()


def told(strayed: torch.Tensor, doubt: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Hints of what things seem to stray by, [2 sides, 2, h, w] cells, everything else at random."""
    rng = torch.Generator().manual_seed(seed)
    sides = []
    for side in strayed:
        varies, misfit = (torch.rand(1, 1, *SIZE, generator=rng) for _ in range(2))
        code = (side[None] / doubt[:, :2]).asinh()
        sides.append(torch.cat((code, varies, misfit, torch.ones_like(varies)), dim=1))
    return torch.cat(sides, dim=1)


@pytest.fixture
def doubt() -> torch.Tensor:
    return 0.2 + torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(3)).expand(1, PARTS, *SIZE)


@pytest.fixture
def strayed() -> torch.Tensor:
    return torch.randn(2, 2, *SIZE, generator=torch.Generator().manual_seed(4))


def test_it_turns_with_the_picture(belief, doubt, strayed):
    """Motion turned by any angle: what is expected of it turns by as much."""
    angle = torch.tensor(0.7)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    expected, size = belief(told(strayed, doubt), doubt, torch.tensor([0.3]))
    turned, size_turned = belief(told(torch.einsum("ij,sjhw->sihw", turn, strayed), doubt), doubt, torch.tensor([0.3]))
    torch.testing.assert_close(turned, torch.einsum("ij,njhw->nihw", turn, expected), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(size_turned, size)
    assert expected.abs().min() > 1e-4


def test_time_run_backwards_is_expected_the_same(belief, doubt, strayed):
    hints = told(strayed, doubt)
    expected, _ = belief(hints, doubt, torch.tensor([0.3]))
    backwards, _ = belief(torch.cat(hints.chunk(2, dim=1)[::-1], dim=1), doubt, torch.tensor([0.7]))
    torch.testing.assert_close(backwards, expected)
    other, _ = belief(torch.cat(hints.chunk(2, dim=1)[::-1], dim=1), doubt, torch.tensor([0.3]))
    assert (other - expected).abs().max() > 1e-3


def test_nothing_is_expected_of_a_side_that_is_not_there(belief, doubt, strayed):
    hints = told(strayed, doubt)
    hints[:, HINTS // 2 :] = 0  # no frame after: all of its channels are zero
    expected, _ = belief(hints, doubt, torch.tensor([0.5]))
    along = (expected[0] * strayed[0]).sum(0).abs()
    torch.testing.assert_close(along, expected[0].norm(dim=0) * strayed[0].norm(dim=0), atol=1e-5, rtol=1e-4)
    nothing, none = belief(torch.zeros_like(hints), doubt, torch.tensor([0.5]))
    assert nothing.abs().max() == 0
    assert none.abs().max() == 0


def test_what_it_begins_with(doubt, strayed):
    """A fixed share of both sides, in cells: whatever the doubt that they are written in."""
    expected, size = Belief()(told(strayed, doubt), doubt, torch.tensor([0.5]))
    torch.testing.assert_close(expected[0], 0.2 * strayed.sum(0), atol=1e-5, rtol=1e-4)
    lengths = strayed.square().sum((0, 1)) / 2
    torch.testing.assert_close(size[0, 0], (lengths + 0.02**2).sqrt(), atol=1e-5, rtol=1e-4)


def test_disbelief_is_relative_to_the_hints_and_bounded():
    size, true = torch.full((2, 1, 1, 1), 0.95), torch.zeros(2, 2, 1, 1)
    missed = torch.tensor([0.5, 1e6]).view(2, 1, 1, 1).expand(2, 2, 1, 1)
    torch.testing.assert_close(disbelief(missed, size, true), torch.tensor([0.125, MOST - 0.5]))


def test_it_learns_to_believe_what_both_sides_tell(doubt):
    """Truth: the smaller of the two where they agree in direction, else nothing. Found by descent, and in directions
    that were never shown."""
    torch.manual_seed(1)
    net, rng = Belief(), torch.Generator().manual_seed(5)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)

    def batch(direction: float) -> tuple[torch.Tensor, torch.Tensor]:
        length = torch.randn(2, 1, *SIZE, generator=rng)
        along = torch.tensor([math.cos(direction), math.sin(direction)]).view(1, 2, 1, 1)
        agreed = (length[0].sign() == length[1].sign()) * length.abs().amin(0) * length[0].sign()
        return told(length * along, doubt), agreed * along

    def error(direction: float) -> torch.Tensor:
        hints, true = batch(direction)
        return disbelief(*net(hints, doubt, torch.tensor([0.5])), true).mean()

    before = torch.stack([error(2.0) for _ in range(40)]).mean()
    for _ in range(250):
        optimizer.zero_grad()
        error(0.0).backward()
        optimizer.step()
    after = torch.stack([error(2.0) for _ in range(40)]).mean()
    assert after < 0.4 * before


def test_shares_of_cells_make_what_is_in_them_and_nothing_is_told_twice(strayed):
    """Cells and what is within them: together the deviations by their shares."""
    fine = torch.randn(1, 4, *(CELL * side for side in SIZE), generator=torch.Generator().manual_seed(6))
    shares = torch.tensor([0.25, 0.5]).view(1, 2, 1, 1).expand(1, 2, *SIZE)
    cells, within = told_finely(shares, fine)
    whole = 0.25 * fine[:, :2] + 0.5 * fine[:, 2:]
    torch.testing.assert_close(cells, torch.nn.functional.avg_pool2d(whole, CELL))
    grown = torch.nn.functional.interpolate(cells, scale_factor=CELL, mode="bilinear")
    torch.testing.assert_close(grown + within, whole)
    still, nothing = told_finely(shares, fine[:, :, :1, :1].expand_as(fine))
    torch.testing.assert_close(still, whole[:, :, :1, :1].expand_as(still))
    assert nothing.abs().max() < 1e-6
    assert told_finely(shares, 1e3 * fine)[1].abs().max() == FARTHEST


def test_a_draw_gives_one_side_what_the_other_gets_less():
    """As wide as the noise where the sides differ, half of it where they differ by QUIET, none where they agree or one
    of them alone is believed."""
    sizes = (12, 16)
    apart = torch.zeros(sizes)
    apart[:, :8] = QUIET
    apart[:, :3] = 100.0
    strayed = torch.zeros(1, 4, *sizes)
    strayed[:, 0] = apart
    strayed = strayed.repeat_interleave(CELL, dim=2).repeat_interleave(CELL, dim=3).expand(400, -1, -1, -1)
    shares = torch.full((400, 2, *sizes), 0.3)
    noise = 0.2 * torch.randn(400, 2, *sizes, generator=torch.Generator().manual_seed(7))
    got = drawn(shares, strayed, noise)
    torch.testing.assert_close(got.sum(1), shares.sum(1))
    torch.testing.assert_close(got[..., 8:], shares[..., 8:])
    spread = (got[:, 0] - 0.3).std(0)
    middle = slice(4, -4)  # at a border a place has fewer cells beside it
    assert spread[middle, 1:3].mean().item() == pytest.approx(0.2, rel=0.1)
    assert spread[middle, 4:7].mean().item() == pytest.approx(0.1, rel=0.1)
    along = torch.stack((got[:, 0, 6, 1], got[:, 0, 6, 2]))
    assert torch.corrcoef(along)[0, 1] > 0.9  # what is side by side strays together
    lopsided = shares * torch.tensor([1.0, 1 / 3]).view(1, 2, 1, 1)
    spread = (drawn(lopsided, strayed, noise)[:, 0] - 0.3).std(0)
    assert spread[middle, 1:3].mean().item() == pytest.approx(0.1, rel=0.1)
    alone = shares * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(drawn(alone, strayed, noise), alone)
    assert (drawn(shares, strayed, 1e3 * noise) - shares).abs().max() == 1
