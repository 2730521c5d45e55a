"""What the metrics tell of an objective at work, and of a sample that spoils a step."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from vidcm import losses
from vidcm.core.circle import angle_of, t_of
from vidcm.core.times import consistency_times
from vidcm.training.step import AngleProbe, culprit

from .tiny import TinyBatches

X0 = torch.randn(64, 2, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def lines(config):
    return [json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()]


def halved(x, angle):
    return 0.5 * x


@pytest.mark.parametrize("stage", [0, 3])
def test_the_ratio_is_that_of_the_objectives_own_mapping(stage):
    loss, f = losses.get("ect")(), AngleProbe(halved)
    loss(f, X0, stage=stage, generator=torch.Generator().manual_seed(0))
    t = t_of(f.angle)
    assert f.ratio()["ratio"] == pytest.approx((loss.r_of_t(t, stage) / t).mean().item(), abs=1e-4)


def test_the_ratio_of_distillation_is_that_of_the_steps_that_it_takes():
    """Its target is another network, and its teacher's evaluations in between do not count."""
    times, f = losses.get("ct")(s0=3).times(0), AngleProbe(halved)
    call = partial(losses.get("ct")(s0=3), f, X0, stage=0, generator=torch.Generator().manual_seed(0))
    call(target=f.watch(halved))
    assert times == 3  # t in (t_1, t_2), r below it: 0 or t_1
    steps = consistency_times(3)
    low, high = (torch.isclose(f.angle, angle_of(step)) for step in steps[1:])
    wanted = torch.where(high, steps[1] / steps[2], torch.zeros(())).mean().item()
    assert (low | high).all()
    assert f.ratio()["ratio"] == pytest.approx(wanted, rel=1e-3)


def test_a_run_reports_stage_ratio_and_the_loss_by_noise_level(config, run):
    settings = config(stage="ect", samples_per_stage=8, last_stage=2, log_every=1)  # batches of 4
    run(settings)
    found = lines(settings)
    assert [line["stage"] for line in found] == [0, 0, 1, 1, 2, 2]
    assert found[-1]["ratio"] > found[0]["ratio"]
    for line in found:
        noise = [value for name, value in line.items() if name.startswith("loss_noise")]
        assert min(noise) <= line["loss"] <= max(noise)
        assert line["loss_spread"] > 0


@pytest.mark.parametrize("stage", ["sct", "scd"])
def test_an_objective_without_a_gap_reports_its_tangent_instead(config, run, stage):
    settings = config(stage=stage, log_every=6)
    run(settings)
    [line] = lines(settings)
    assert line["tangent"] > 0
    assert "ratio" not in line
    assert "stage" not in line


def test_the_sample_that_spoilt_a_step_is_named_with_its_noise_level(config, run, capsys):
    run(config(stage="diffusion"), batches=TinyBatches(before=lambda n: float("nan") if n == 3 else None))
    told = next(line for line in capsys.readouterr().err.splitlines() if "skipped" in line)
    assert "step 3, rank 0, 1 of its samples, the first number 0 at angle " in told
    assert 0 <= float(told.rpartition("at angle ")[2].rstrip(")")) <= 1.5709


def test_the_first_of_the_bad_samples_is_found():
    loss = torch.tensor([1.0, 2.0, float("inf"), float("nan")])
    angle = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1, 1, 1)
    assert culprit(loss, angle) == {"bad_sample": 2.0, "bad_samples": 2.0, "bad_angle": pytest.approx(0.3)}
    assert culprit(loss[:2], angle) == {}
