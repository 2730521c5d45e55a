"""The adversarial term: who is moved by what, nothing where it is off, and a run that resumes with it bit for bit."""

import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.families.tiny_video import stirred_clip
from vidcm import losses
from vidcm.core.errors import UserError
from vidcm.training.critic import Critic
from vidcm.training.loop import Interrupted

from .tiny import TinyFamily


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def latents(number, size=4):
    generator = seeded(number)
    told = {"condition": torch.zeros(size, 20, 2, 4, 4), "tau": torch.tensor([[0.0, 0.25]]).expand(size, -1)}
    return {"x0": torch.randn(size, 4, 2, 4, 4, generator=generator), "condition": told}


class Latents:
    """before(number) is called first."""

    def __init__(self, before=lambda number: None):
        self.before = before

    def iterate(self, start=0):
        for number in itertools.count(start):
            self.before(number)
            yield latents(number)


@pytest.fixture
def judged():
    """judged(made, x0) -> the critic, and its term of what was made."""
    family = stirred_clip(dim=16)
    teacher = family.transformer.requires_grad_(False).eval()

    def judge(made, x0, weight=1.0, seed=0):
        torch.manual_seed(1)
        critic, batch = Critic(teacher, weight), latents(0)
        denoise = family.denoiser(batch["condition"], teacher)
        heard = {}
        term = critic(made, x0, teacher=teacher, denoise=denoise, generator=seeded(seed), log=heard.__setitem__)
        return critic, term, heard

    return judge


def test_the_student_is_moved_by_its_own_term_alone(judged):
    """Of (1 - D(x0))+ + (1 + D(made))+ - weight D(made), only the last reaches what was made."""
    x0 = latents(0)["x0"]
    gradients = []
    for weight in (1.0, 4.0, 0.0):
        made = latents(5)["x0"].requires_grad_()
        _, term, _ = judged(made, x0, weight)
        gradients.append(torch.autograd.grad(term.sum(), made)[0])
    assert gradients[0].any()
    torch.testing.assert_close(gradients[1], 4 * gradients[0])
    assert not gradients[2].any()


def test_the_critic_is_moved_by_its_own_terms_alone(judged):
    """Whatever the student's weight is; and towards telling data from what was made."""
    x0, made = latents(0)["x0"], latents(5)["x0"]
    found = []
    for weight in (1.0, 40.0):
        critic, term, heard = judged(made, x0, weight)
        found.append(torch.autograd.grad(term.sum(), list(critic.parameters()), allow_unused=True))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert any(gradient.any() for gradient in found[0])
    want = (1 - heard["critic_real"]).relu() + (1 + heard["critic_made"]).relu() - 40 * heard["critic_made"]
    torch.testing.assert_close(term, want)


def test_a_trained_critic_tells_data_from_noise_and_the_student_follows(judged):
    family = stirred_clip(dim=16)
    teacher = family.transformer.requires_grad_(False).eval()
    critic, made = Critic(teacher, 1.0), (0.2 * latents(9)["x0"]).requires_grad_()
    optimizer = torch.optim.Adam([*critic.parameters()], lr=1e-2)
    denoise = family.denoiser(latents(0)["condition"], teacher)
    for step in range(60):
        heard = {}
        data = {"teacher": teacher, "denoise": denoise, "generator": seeded(step), "log": heard.__setitem__}
        term = critic(made, latents(step)["x0"], **data).mean()
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
    assert heard["critic_real"].mean() > heard["critic_made"].mean() + 0.5
    assert (made.grad * made).sum() < 0  # downhill lies larger variance: that of the data


@pytest.mark.parametrize("stage", ["cd", "lcm", "scd"])
def test_a_run_with_a_critic_resumes_to_the_same_bits(config, run, stage):
    def stop(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGINT)

    whole, parts = (config(out, stage=stage, objective={"adversarial": 0.5}) for out in ("whole", "parts"))
    run(whole, family=stirred_clip(dim=16), batches=Latents())
    with pytest.raises(Interrupted):
        run(parts, family=stirred_clip(dim=16), batches=Latents(stop))
    run(parts, family=stirred_clip(dim=16), batches=Latents(), resume=True)
    saved = "checkpoints/step-00000006"
    for name in ("params", "aides", "optimizer"):
        one, two = (Path(each.out) / saved / f"{name}.safetensors" for each in (whole, parts))
        assert one.read_bytes() == two.read_bytes(), name
    aides = load_file(Path(whole.out) / saved / "aides.safetensors")
    first = Critic(stirred_clip(dim=16).transformer, 0.5).state_dict()
    assert {f"critic.{name}" for name in first} <= aides.keys()
    moments = load_file(Path(whole.out) / saved / "optimizer.safetensors")
    assert moments["aides.critic.heads.0.1.weight/exp_avg"].any()


@pytest.mark.parametrize("stage", ["cd", "lcm", "scd"])
def test_without_a_weight_there_is_no_critic_and_no_draw_for_one(config, run, stage):
    plain, off, on = (
        config(f"run-{name}", stage=stage, objective=fields, steps=2)
        for name, fields in (("plain", {}), ("off", {"adversarial": 0}), ("on", {"adversarial": 0.5}))
    )
    for each in (plain, off, on):
        run(each, family=stirred_clip(dim=16), batches=Latents())
    one, two, three = (
        (Path(each.out) / "checkpoints" / "step-00000002" / "params.safetensors").read_bytes()
        for each in (plain, off, on)
    )
    assert one == two
    assert one != three
    assert not any("critic" in line for line in (Path(off.out) / "metrics.jsonl").read_text().splitlines())
    assert "critic_real" in (Path(on.out) / "metrics.jsonl").read_text()


def test_a_teacher_without_blocks_is_refused(config, run):
    with pytest.raises(UserError, match="one network of blocks, this one is a Sequential"):
        run(config(stage="cd", objective={"adversarial": 1}), family=TinyFamily.create({}))
    with pytest.raises(ValueError, match="adversarial must be a number of at least 0, got -1"):
        losses.get("scd")(adversarial=-1)
