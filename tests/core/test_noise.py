"""Noise depends on its key and on nothing else."""

from fractions import Fraction

import pytest
import torch

from vidcm.core.dropout import shared_dropout
from vidcm.core.noise import keyed_noise

KEY = {"seed": 0, "shot": 0, "position": 0}
GOLDEN_ORIGIN = [0.057815161, -0.200503901, 1.491751432, 0.190216884]
GOLDEN_OTHER = [[-0.632442594, -0.749801278], [0.293095738, -0.06695006]]


def test_the_noise_of_a_key_never_changes():
    """Golden values: a change of key or transform re-rolls every result ever made, so it must be on purpose."""
    torch.testing.assert_close(keyed_noise((4,), **KEY), torch.tensor(GOLDEN_ORIGIN), rtol=1e-6, atol=0)
    other = keyed_noise((2, 2), seed=7, shot=3, position=Fraction(5, 2), draw=1)
    torch.testing.assert_close(other, torch.tensor(GOLDEN_OTHER), rtol=1e-6, atol=0)


def test_equal_positions_give_equal_noise_however_they_are_written():
    half = keyed_noise((3, 5), seed=1, shot=2, position=Fraction(1, 2))
    assert keyed_noise((3, 5), seed=1, shot=2, position=Fraction(2, 4)).equal(half)
    assert keyed_noise((9,), seed=1, shot=2, position=3).equal(
        keyed_noise((9,), seed=1, shot=2, position=Fraction(6, 2))
    )


def test_neither_call_order_nor_the_global_generator_matters():
    alone = keyed_noise((3, 5), **KEY)
    state = torch.get_rng_state()
    torch.manual_seed(123)
    keyed_noise((1000,), seed=9, shot=9, position=9)
    assert keyed_noise((3, 5), **KEY).equal(alone)
    torch.set_rng_state(state)
    keyed_noise((3, 5), **KEY)
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"shot": 1}, {"position": 1}, {"position": Fraction(1, 2)}, {"draw": 1}]
)
def test_every_part_of_the_key_changes_the_noise(change):
    a, b = keyed_noise((10_000,), **KEY), keyed_noise((10_000,), **(KEY | change))
    assert abs(float((a * b).mean())) < 0.05  # uncorrelated: standard error 0.01


def test_neighbouring_numbers_do_not_run_together():
    """shot 1, position 11 is not shot 11, position 1, nor is -1/2 the same as 1/2."""
    noises = [
        keyed_noise((4,), seed=0, shot=shot, position=position)
        for shot, position in [(1, 11), (11, 1), (1, Fraction(1, 2)), (1, Fraction(-1, 2)), (1, 12), (-1, 11)]
    ]
    assert len({tuple(noise.tolist()) for noise in noises}) == len(noises)


def test_the_noise_is_standard_normal():
    noise = keyed_noise((1_000_000,), **KEY).double()
    assert float(noise.mean()) == pytest.approx(0, abs=0.004)  # four standard errors each
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.006)
    assert float((noise**4).mean()) == pytest.approx(3, abs=0.04)
    assert float((noise[1:] * noise[:-1]).mean()) == pytest.approx(0, abs=0.004)
    assert noise.isfinite().all()


def test_the_noise_is_float32_unless_asked():
    assert keyed_noise((2,), **KEY).dtype == torch.float32
    assert keyed_noise((2,), **KEY, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_student_and_target_share_their_dropout_mask_and_the_next_step_does_not():
    dropout = torch.nn.Dropout(0.5)
    x = torch.ones(1000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with shared_dropout() as again:
            student = dropout(x)
            with again():
                target = dropout(x)
                dropout(x)  # the target may draw more than the student
        following = dropout(x)
        torch.manual_seed(0)
        dropout(x)
        expected = dropout(x)
    assert target.equal(student)
    assert not following.equal(student)
    assert following.equal(expected)  # the target left no trace in the generator
