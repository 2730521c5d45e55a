"""What the loop does with losses and gradients, good and bad."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vidcm import losses
from vidcm.core.errors import UserError
from vidcm.losses.ect import ECTLoss
from vidcm.training import checkpoint
from vidcm.training.advance import backward
from vidcm.training.loop import train
from vidcm.training.metrics import Meter
from vidcm.training.start import start_processes
from vidcm.training.state import State
from vidcm.training.step import AngleProbe, keyed_seed

from .tiny import TinyBatches, TinyFamily


def lines(config) -> list[dict]:
    return [json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()]


def final(config) -> checkpoint.Checkpoint:
    found = checkpoint.newest(Path(config.out) / "checkpoints", print)
    assert found is not None
    return found


@pytest.mark.parametrize("stage", ["vae", "diffusion"])
def test_training_lowers_the_loss(config, run, stage):
    settings = config(stage=stage, steps=150, save_every=1000, log_every=30, optimizer={"lr": 0.02, "warmup": 5})
    run(settings)
    measured = [line["loss"] for line in lines(settings)]
    assert measured[-1] < 0.7 * measured[0]


def test_only_the_weights_of_the_stage_move(config, run):
    family = TinyFamily.create({})
    before = {name: tensor.clone() for name, tensor in family.vae.state_dict().items()}
    first = family.dit[0].weight.detach().clone()
    run(config(stage="ect"), family=family)
    assert all(tensor.equal(before[name]) for name, tensor in family.vae.state_dict().items())
    assert not family.dit[0].weight.equal(first)


def test_tuning_keeps_the_diffusion_model_as_teacher_and_pretraining_has_none(config, run):
    family = TinyFamily.create({})
    first = family.dit[0].weight.detach().clone()
    run(config(stage="ect"), family=family)
    assert family.teacher[0].weight.equal(first)
    run(config("again", stage="diffusion"), family=family)
    assert family.teacher is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_is_skipped_and_counted(config, run, capsys, bad):
    settings = config(stage="ect", save_every=1)
    run(settings, batches=TinyBatches(before=lambda n: bad if n == 3 else None))
    folder = Path(settings.out) / "checkpoints"
    before, after, last = (load_file(folder / f"step-{step:08d}" / "params.safetensors") for step in (3, 4, 6))
    assert all(before[name].equal(after[name]) for name in before)
    assert not any(after[name].equal(last[name]) for name in after)
    assert all(tensor.isfinite().all() for tensor in final(settings).tensors("optimizer").values())
    assert final(settings).state["bad_total"] == 1
    assert "step 3 skipped" in capsys.readouterr().err


def test_a_skipped_step_leaves_running_statistics_as_they_were(config, run):
    settings = config(stage="vae", save_every=1)
    run(settings, batches=TinyBatches(before=lambda n: float("nan") if n == 3 else None))
    folder = Path(settings.out) / "checkpoints"
    before, after = (load_file(folder / f"step-{step:08d}" / "params.safetensors") for step in (3, 4))
    assert all(before[name].equal(after[name]) for name in before)


def test_a_run_that_stays_bad_gives_up_and_names_the_batch(config, run):
    settings = config(max_bad_steps=3, steps=20, stage="diffusion")
    with pytest.raises(UserError, match=r"3 steps in a row .*seed 0, step 6, rank 0"):
        run(settings, batches=TinyBatches(before=lambda n: float("nan") if n >= 4 else None))
    assert final(settings).step == 6  # the last save; nothing bad was saved over it


def test_bad_steps_between_good_ones_do_not_add_up(config, run):
    settings = config(max_bad_steps=2, steps=12, stage="diffusion", save_every=100)
    run(settings, batches=TinyBatches(before=lambda n: float("nan") if n % 2 else None))
    assert final(settings).state["bad_total"] == 6


def gradient(config, family, batches) -> list[torch.Tensor]:
    state = State(config, start_processes(config), family, batches)
    stream = batches.iterate(0)
    for part in range(config.grad_accumulation):
        backward(state, next(stream), part)
    return [parameter.grad.clone() for parameter in state.parameters]


class Whole(TinyBatches):
    """One shape only, so that two batches can be one of double size."""

    @staticmethod
    def sample(number, between):
        return TinyBatches.sample(number, 1)


def test_two_accumulated_batches_are_one_of_double_size(config):
    """Noise included."""
    family = TinyFamily.create({}).without_dropout()
    double = gradient(config(), family, Whole(size=8))
    family.vae.zero_grad()
    parts = gradient(config(grad_accumulation=2), family, Whole(size=4))
    torch.testing.assert_close(parts, double, rtol=1e-6, atol=1e-7)


def test_the_gradient_is_clipped_to_its_largest_norm(config, run, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def measured(optimizer, *args):
        grads = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(grads).norm().item())
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", measured)
    run(config(grad_clip=0.01))
    assert norms == pytest.approx([0.01] * 6, rel=1e-4)


def test_samples_seen_drive_the_curriculum(config, run, monkeypatch):
    stages = []
    original = ECTLoss.__call__

    def noted(self, f, x0, *, stage, generator):
        stages.append(stage)
        return original(self, f, x0, stage=stage, generator=generator)

    monkeypatch.setattr(ECTLoss, "__call__", noted)
    run(config(stage="ect", samples_per_stage=8, last_stage=1))  # batches of 4
    assert stages == [0, 0, 1, 1, 1, 1]


def test_seeds_are_of_their_whole_key():
    keys = [(0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 10, 0, 0), (0, 1, 0, 10), (-1, 0, 0, 0)]
    seeds = [keyed_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [keyed_seed(*key) for key in keys]
    assert all(0 <= seed < 2**63 for seed in seeds)


ASK_FOR_NOTHING = [name for name in losses.available() if not losses.asked_by(losses.get(name))]


@pytest.mark.parametrize("name", ASK_FOR_NOTHING)
def test_the_loss_is_told_by_noise_level(name):
    x0 = torch.randn(64, 4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    probe = AngleProbe(lambda x, angle: 0.3 * x)
    loss = losses.get(name)()(probe, x0, stage=0, generator=torch.Generator().manual_seed(1))
    logs = probe.binned(loss)
    quarter = (probe.angle.flatten() / (torch.pi / 8)).floor().clamp(max=3)  # pure noise belongs to the last
    assert len(logs) >= 2
    for key, value in logs.items():
        assert value == pytest.approx(loss[quarter == float(key[-1])].mean().item(), rel=1e-5)


def test_the_objective_takes_its_fields_and_refuses_others(config, run):
    with pytest.raises(UserError, match=r"unknown key objective\.qq \(did you mean q\?\)"):
        run(config(stage="ect", objective={"qq": 2}))
    with pytest.raises(UserError, match=r"unknown stage 'etc'; known: vae, decoder, "):
        run(config(stage="etc"))


def test_processes_that_did_not_start_are_noticed(config, run):
    with pytest.raises(UserError, match="2 processes asked for, 1 launched, 1 working together"):
        run(config(processes=2))


def test_a_device_that_is_not_there_is_an_error(config, run):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    with pytest.raises(UserError, match="device cuda is not available here"):
        run(config(device="cuda"))


def test_the_config_names_family_and_start(config, monkeypatch, run):
    monkeypatch.setattr("vidcm.families.get", lambda name: TinyFamily)
    start = run(config("start", stage="vae"))
    model = train(config("tuned", stage="ect", family="tiny", init=str(start)), batches=TinyBatches())
    assert json.loads((model / "parts.json").read_text())["teacher"]
    assert (model / "vae.safetensors").read_bytes() == (start / "vae.safetensors").read_bytes()
    with pytest.raises(UserError, match="leave out one of them"):
        train(config("both", init=str(start), model={"width": 3}), batches=TinyBatches())


def test_a_new_model_depends_on_the_seed_alone(config, monkeypatch):
    monkeypatch.setattr("vidcm.families.get", lambda name: TinyFamily)
    settings = [config(name, seed=seed, steps=1) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    a, b, c = ((train(s, batches=TinyBatches()) / "vae.safetensors").read_bytes() for s in settings)
    assert a == b != c


def test_the_run_records_config_seed_and_commit(config, run):
    settings = config(seed=5)
    run(settings)
    run(replace(settings, steps=8), resume=True)
    records = [json.loads(line) for line in (Path(settings.out) / "run.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 6]
    assert all({"seed", "commit", "torch", "processes", "command"} <= record.keys() for record in records)
    assert records[0]["seed"] == 5


def test_the_meter_reads_means_and_starts_afresh():
    meter = Meter()
    meter.add({"a": 1.0, "b": 4.0})
    meter.add({"a": 3.0})
    assert meter.read() == {"a": 2.0, "b": 4.0}
    assert meter.read() == {}
