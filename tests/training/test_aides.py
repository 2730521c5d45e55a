"""What objectives ask for: it is what it says, it is kept in checkpoints, and a wish that cannot be met is one line."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from vidcm import losses
from vidcm.core.derivative import discrete
from vidcm.core.errors import UserError
from vidcm.core.parameterisations import CirclePrecond
from vidcm.models.video_dit import VideoDiT
from vidcm.training.aides import Aides, Derivative, LogWeight
from vidcm.training.start import open_family

from .tiny import TinyBatches, TinyFamily


def lines(config) -> list[dict]:
    return [json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()]


def saved(config, step: int, name: str) -> dict[str, torch.Tensor]:
    return load_file(Path(config.out) / "checkpoints" / f"step-{step:08d}" / f"{name}.safetensors")


# The averaged target


@pytest.mark.parametrize(("stage", "fields", "decay"), [("cd", {"decay": 0.7}, 0.7), ("ct", {"mu0": 0.8}, 0.8)])
def test_the_target_is_the_running_average_of_the_student(config, run, stage, fields, decay):
    settings = config(stage=stage, objective=fields, save_every=1)
    run(settings)
    for step in (2, 3):
        before, after = saved(settings, step - 1, "aides"), saved(settings, step, "aides")
        student = saved(settings, step, "params")
        for name, weight in student.items():
            expected = decay * before[f"target.{name}"] + (1 - decay) * weight
            torch.testing.assert_close(after[f"target.{name}"], expected)
            assert not after[f"target.{name}"].equal(weight)


def test_a_skipped_step_leaves_the_target_and_the_weighting_as_they_were(config, run):
    for stage in ("cd", "sct"):
        settings = config(stage, stage=stage, save_every=1)
        run(settings, batches=TinyBatches(before=lambda n: float("nan") if n == 3 else None))
        before, after = saved(settings, 3, "aides"), saved(settings, 4, "aides")
        assert all(before[name].equal(after[name]) for name in before)


def test_the_teacher_is_the_model_that_tuning_started_from_and_stays(config, run):
    family = TinyFamily.create({})
    first = family.dit[0].weight.detach().clone()
    run(config(stage="scd"), family=family)
    assert family.teacher[0].weight.equal(first)
    assert not family.dit[0].weight.equal(first)


def test_the_weighting_is_learned_and_saved(config, run):
    settings = config(stage="sct")
    run(settings)
    aides = saved(settings, 6, "aides")
    assert aides["log_weight.linear.weight"].any()
    assert {"aides.log_weight.linear.bias/exp_avg"} <= saved(settings, 6, "optimizer").keys()


def test_the_weighting_starts_at_zero_and_is_a_function_of_the_angle():
    weight = LogWeight()
    angle = torch.tensor([0.0, 0.4, 1.5]).view(3, 1, 1, 1, 1)
    assert weight(angle).equal(torch.zeros(3))
    torch.nn.init.ones_(weight.linear.weight)
    assert len(weight(angle).unique()) == 3


# The derivative


def small_dit() -> VideoDiT:
    torch.manual_seed(0)
    model = VideoDiT(latent_channels=4, condition_channels=8, end_channels=8, dim=32, depth=2, heads=2, dropout=0.1)
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def told(dtype: torch.dtype) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype)

    condition = {"condition": rand(2, 8, 3, 4, 6), "ends": rand(2, 8, 2, 4, 6)}
    condition |= {"tau": torch.tensor([[0.2, 0.5, 0.8]] * 2, dtype=dtype), "present": torch.ones(2, 2, dtype=dtype)}
    angle = torch.tensor([0.3, 1.2], dtype=dtype).view(2, 1, 1, 1, 1)
    return condition, [rand(2, 4, 3, 4, 6), angle, rand(2, 4, 3, 4, 6)]


def test_the_exact_derivative_passes_through_the_video_dit_and_equals_finite_differences():
    """Along x and angle at once, in float64, without dropout."""
    condition, point = told(torch.float64)
    f = CirclePrecond().denoiser(small_dit().double().eval(), **condition)
    derivative = Derivative()
    with torch.no_grad():
        found = derivative(f, *point)
        other = discrete(f, *point, 1e-5)
    assert derivative.hindrance is None
    torch.testing.assert_close(found, other, rtol=0, atol=2e-6)  # curvature over the step


@pytest.mark.parametrize("bf16", [False, True])
def test_in_training_precision_the_measured_error_is_small_with_dropout_on(bf16):
    condition, point = told(torch.float32)
    f = CirclePrecond().denoiser(small_dit().train(), **condition)
    derivative, state = Derivative(), torch.get_rng_state()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = derivative(f, *point)
        torch.set_rng_state(state)
        assert derivative.error(found, f, *point) < 0.01
    assert found.dtype == torch.float32


def test_the_exact_derivative_passes_through_the_fused_attention_of_other_libraries():
    def network(x, angle):
        tokens = x.flatten(2).transpose(1, 2)[:, None].contiguous()
        return F.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0].transpose(1, 2).view_as(x)

    _, point = told(torch.float32)
    derivative = Derivative()
    with torch.no_grad():
        derivative(network, *point)
        assert derivative.hindrance is None
        with pytest.raises(NotImplementedError):  # what it spared us
            torch.func.jvp(network, tuple(point[:2]), (point[2], torch.ones_like(point[1])))


class Opaque(torch.autograd.Function):
    """A kernel without a forward-mode derivative."""

    @staticmethod
    def forward(x):
        return x.square()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass


def test_the_discrete_form_is_chosen_where_no_exact_derivative_passes_and_said_once(capsys):
    _, point = told(torch.float32)
    derivative = Derivative()
    with torch.no_grad():
        found = [derivative(lambda x, angle: Opaque.apply(x) * angle, *point) for _ in range(2)]
    x, angle, dx = point
    torch.testing.assert_close(found[1], 2 * x * dx * angle + x**2, rtol=1e-2, atol=1e-2)
    said = capsys.readouterr().err
    assert said.count("no exact derivative passes through this network, the discrete form it is (") == 1


def test_a_discrete_derivative_of_half_precision_weights_is_refused():
    _, point = told(torch.float32)
    with torch.no_grad(), pytest.raises(UserError, match="set precision=fp32"):
        Derivative(coarse=True)(lambda x, angle: Opaque.apply(x) * angle, *point)


def test_metrics_tell_the_tangent_and_how_exact_the_derivative_is(config, run):
    settings = config(stage="sct", log_every=1)
    run(settings)
    first, *rest = lines(settings)
    assert first["jvp_exact"] == 1
    assert first["jvp_error"] < 0.01
    assert not any("jvp_error" in line for line in rest)  # measured now and then
    assert all(line["tangent"] > 0 for line in rest)


# Wishes that cannot be met


@pytest.mark.parametrize("stage", ["cd", "lcm", "scd"])
def test_distillation_of_a_new_model_is_refused(config, stage):
    with pytest.raises(UserError, match=f"stage {stage} distils a teacher: init= must name a model"):
        open_family(config(stage=stage))


def test_guidance_of_an_unconditional_family_is_refused(config, run):
    with pytest.raises(UserError, match=r"guidance \[3.0, 3.0\] needs a family with an unconditional form"):
        run(config(stage="cd", objective={"guidance": [3, 3]}))


class Conditional(TinyFamily):
    @staticmethod
    def unconditional(condition):
        return {**condition, "told": torch.zeros_like(condition["told"])}


def test_a_family_with_an_unconditional_form_guides_its_teacher(config, run):
    torch.manual_seed(0)
    plain, guided = Conditional.create({}), Conditional.create({})
    guided.dit.load_state_dict(plain.dit.state_dict())
    run(config("plain", stage="cd"), family=plain)
    run(config("guided", stage="cd", objective={"guidance": [3, 3]}), family=guided)
    assert not plain.dit[0].weight.equal(guided.dit[0].weight)


def test_scales_that_differ_need_a_network_that_can_be_told_them(config, run):
    with pytest.raises(UserError, match="guidance must be one value"):
        run(config(stage="lcm", objective={"guidance": [3, 15]}), family=Conditional.create({}))


def test_an_objective_that_asks_for_nothing_has_no_aides():
    family = TinyFamily.create({})
    aides = Aides(losses.get("ect")(), family, family.dit)
    assert (aides.trainable(), aides.state_dict()) == ([], {})


def test_a_consistency_model_without_its_diffusion_model_has_nothing_to_distil(config, run):
    family = TinyFamily.create({})
    family.consistency = object()
    with pytest.raises(UserError, match="stage cd distils a diffusion model, and init=None is a consistency model"):
        run(config(stage="cd"), family=family)
    run(config(stage="ect"), family=family)  # goes on from where it was
