"""What every consistency objective shows to student, target and teacher."""

import math

import pytest
import torch

from vidcm import losses
from vidcm.core.derivative import discrete
from vidcm.core.solvers import euler, heun

from .closed_forms import TEACHER, call, gaussian_data

CONSISTENCY = [name for name in losses.available() if name != "diffusion"]
PAIRED = ["ct", "ict", "ect", "cd", "lcm"]  # these evaluate at t and r


class Witness:
    """f and its target, each with a weight of its own, and what they were shown."""

    def __init__(self):
        self.student, self.target = (torch.ones((), requires_grad=True) for _ in range(2))
        self.calls = []

    def as_student(self, x, angle, **told):
        return self.answer(self.student, x, angle)

    def as_target(self, x, angle, **told):
        return self.answer(self.target, x, angle)

    def answer(self, weight, x, angle):
        self.calls.append((x, angle, torch.is_grad_enabled(), torch.get_rng_state()))
        torch.rand(3)  # as dropout does
        return weight * x.tanh() * angle.cos()


def witnessed(loss, x0, stage=3, **given):
    """(what was seen, the loss) of an objective that sees its derivative by two evaluations, not through a JVP."""
    seen = Witness()
    loss = call(loss, seen.as_student, x0, stage=stage, target=seen.as_target, derivative=discrete, **given)
    return seen, loss


@pytest.mark.parametrize("name", CONSISTENCY)
def test_no_gradient_reaches_the_target(name):
    seen, loss = witnessed(losses.get(name)(), gaussian_data(4))
    loss.sum().backward()
    assert [grad for _, _, grad, _ in seen.calls] == [True] + [False] * (len(seen.calls) - 1)
    assert len(seen.calls) >= 2
    assert seen.student.grad is not None
    assert seen.target.grad is None


@pytest.mark.parametrize("name", CONSISTENCY)
def test_student_and_target_share_the_dropout_mask_and_leave_the_generator_as_the_student_did(name):
    torch.manual_seed(0)
    seen, _ = witnessed(losses.get(name)(), gaussian_data(4))
    states = [state for *_, state in seen.calls]
    assert all(state.equal(states[0]) for state in states)
    after = torch.get_rng_state()
    torch.set_rng_state(states[0])
    torch.rand(3)
    assert after.equal(torch.get_rng_state())


@pytest.mark.parametrize("name", ["ct", "ict", "ect"])
def test_student_and_target_share_the_noise(name):
    x0 = gaussian_data(64)
    seen, _ = witnessed(losses.get(name)(), x0, stage=1)
    (x, angle, *_), (earlier_x, earlier, *_) = seen.calls
    noise = (x.double() - angle.double().cos() * x0) / angle.double().sin()
    expected = earlier.double().cos() * x0 + earlier.double().sin() * noise
    torch.testing.assert_close(earlier_x.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "fields", "solver"), [("cd", {}, heun), ("cd", {"solver": "euler"}, euler), ("lcm", {}, euler)]
)
def test_distillation_asks_the_target_where_one_step_of_the_teacher_leads(name, fields, solver):
    seen, _ = witnessed(losses.get(name)(**fields), gaussian_data(64))
    (x, angle, *_), (earlier_x, earlier, *_) = seen.calls
    torch.testing.assert_close(earlier_x, solver(TEACHER, x, angle, earlier), rtol=0, atol=1e-6)


def papers_loss(name, student, goal, t, r):
    """One sample's, per dimension, from what f said at t and its target at r."""
    mean_square = (student - goal).square().mean()
    huber = (mean_square + 0.00054**2).sqrt() - 0.00054
    return {"ct": mean_square, "cd": mean_square, "lcm": huber, "ict": huber / (t - r)}[name]


@pytest.mark.parametrize("name", ["ct", "ict", "cd", "lcm"])
def test_the_loss_is_the_papers(name):
    """Written out once more, sample by sample, from the points that f was shown."""
    loss = losses.get(name)()
    seen, got = witnessed(loss, gaussian_data(300))  # so many that some targets lie at 0
    said = []
    for x, angle, *_ in seen.calls:
        x, angle = x.detach().double(), angle.double()
        f = x.tanh() * angle.cos()
        if name == "lcm":
            place = 10 * angle / (math.atan(160) / 1000)  # the paper's t s, its sigma_data 0.5
            f = 0.25 / (place**2 + 0.25) * x + place / (place**2 + 0.25).sqrt() * f
        said.append((f, angle.tan().flatten()))
    (student, t), (goal, r) = said
    expected = [papers_loss(name, student[i], goal[i], t[i], r[i]) for i in range(300)]
    torch.testing.assert_close(got.detach().double(), torch.stack(expected), rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize("stage", range(9))
@pytest.mark.parametrize("name", PAIRED)
def test_r_lies_below_t_at_every_stage_and_starts_at_zero(name, stage):
    seen, loss = witnessed(losses.get(name)(), torch.randn(4000, 1, 1, 1, 1), stage=stage)
    (_, angle, *_), (_, earlier, *_) = seen.calls
    assert (earlier >= 0).all()
    assert (earlier < angle).all()
    assert (earlier == 0).any() or name == "ect"  # whose r is t / 2 and closer from stage 2 on
    assert loss.isfinite().all()
    assert float(angle.max()) == pytest.approx(math.atan(160), abs=1e-6) or name in ("ect", "ict")


@pytest.mark.parametrize("name", ["cd", "lcm", "scd"])
def test_a_guided_teacher_is_asked_with_and_without_its_condition(name):
    """Guided by 3 from a teacher that says 0 without its condition is three times the teacher."""
    x0 = gaussian_data(8)
    seen, loss = witnessed(losses.get(name)(guidance=(3.0, 3.0)), x0, unguided=lambda x, angle: 0 * x)
    other, expected = witnessed(losses.get(name)(), x0, teacher=lambda x, angle: 3 * TEACHER(x, angle))
    torch.testing.assert_close(loss, expected)
    assert len(seen.calls) == len(other.calls)


@pytest.mark.parametrize("name", ["cd", "lcm", "scd"])
def test_guidance_without_an_unconditional_teacher_is_refused(name):
    with pytest.raises(ValueError, match=r"needs a teacher without its condition"):
        witnessed(losses.get(name)(guidance=(3.0, 3.0)), gaussian_data(2))


@pytest.mark.parametrize("name", ["cd", "lcm", "scd"])
def test_scales_from_an_interval_are_told_to_student_and_target(name):
    told = []

    def f(x, angle, guidance):
        told.append(guidance)
        return 0.3 * x

    loss = losses.get(name)(guidance=(3.0, 15.0))
    call(loss, f, gaussian_data(200), unguided=TEACHER, derivative=discrete)
    assert len(told) >= 2
    assert all(scale.equal(told[0]) for scale in told)
    assert told[0].shape == (200,)
    assert 3 <= float(told[0].min()) < 3.5
    assert 14.5 < float(told[0].max()) <= 15
