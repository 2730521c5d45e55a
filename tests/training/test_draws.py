"""Random numbers belong to samples: batches cut another way draw the same."""

import pytest
import torch

from vidcm import losses
from vidcm.training.draws import SampleDraws
from vidcm.training.step import keyed_seed


def drawn(draw, first: int, size: int):
    """draw(generator, size) for the samples first, first + 1, ... of a run, as a training step has it."""
    generator = torch.Generator().manual_seed(5)
    with SampleDraws(generator, size, lambda sample, number: keyed_seed(7, first + sample, number)):
        return draw(generator, size)


DRAWS = {
    "randn": lambda g, size: torch.randn((size, 3, 2), generator=g),
    "randn, loose": lambda g, size: torch.randn(size, 3, generator=g, dtype=torch.float64),
    "rand": lambda g, size: torch.rand((size, 1, 1), generator=g, device=g.device),
    "rows": lambda g, size: torch.randn((2 * size, 3), generator=g),  # two in-between frames for each sample
    "randint": lambda g, size: torch.randint(1, 90, (size, 1), generator=g),
    "randint, below": lambda g, size: torch.randint(90, (size,), generator=g),
    "multinomial": lambda g, size: torch.multinomial(torch.ones(50), size, replacement=True, generator=g),
    "twice": lambda g, size: torch.stack([torch.randn(size, generator=g), torch.rand(size, generator=g)], dim=1),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_two_halves_draw_what_the_whole_draws(draw):
    whole = drawn(draw, 10, 4)
    halves = torch.cat([drawn(draw, 10, 2), drawn(draw, 12, 2)])
    assert torch.equal(whole, halves)
    assert len({tuple(row.flatten().tolist()) for row in whole}) > 1  # each sample its own
    assert not torch.equal(whole, drawn(draw, 20, 4))


def test_what_is_not_drawn_for_samples_is_the_same_for_all():
    def draw(generator, size):
        return torch.rand((), generator=generator)

    assert drawn(draw, 0, 2) == drawn(draw, 2, 2) == torch.rand((), generator=torch.Generator().manual_seed(5))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = torch.randn(4)
        torch.manual_seed(1)
        assert torch.equal(drawn(lambda *_: torch.randn(4), 0, 4), expected)  # of another generator: left alone


def test_draws_are_normal_and_uniform():
    draws = drawn(lambda g, size: torch.randn((size, 10), generator=g), 0, 2000)
    assert draws.mean().item() == pytest.approx(0, abs=0.03)  # 4 deviations of a mean of 20,000
    assert draws.std().item() == pytest.approx(1, abs=0.03)
    assert torch.corrcoef(draws.T).fill_diagonal_(0).abs().max() < 0.1
    assert drawn(lambda g, size: torch.rand(size, generator=g), 0, 2000).std().item() == pytest.approx(
        12**-0.5, abs=0.02
    )


@pytest.mark.parametrize("name", [name for name in losses.available() if not losses.asked_by(losses.get(name))])
def test_an_objective_s_losses_do_not_depend_on_how_samples_are_batched(name):
    objective = losses.get(name)()
    x0 = torch.randn(4, 2, 1, 3, 3, generator=torch.Generator().manual_seed(0))

    def of(first: int, size: int) -> torch.Tensor:
        part = x0[first : first + size]
        return drawn(lambda g, _: objective(lambda x, angle: 0.3 * x, part, stage=0, generator=g), first, size)

    torch.testing.assert_close(torch.cat((of(0, 2), of(2, 2))), of(0, 4), rtol=1e-5, atol=1e-7)
