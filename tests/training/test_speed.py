"""Compiled networks, latents in the device's memory, and what a run tells of its efficiency."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.families.conftest import tiny_family
from vidcm.core.errors import UserError, WrongUse
from vidcm.training.efficiency import COUNTED, Work, measured_peak, shapes
from vidcm.training.latents import LatentBatches
from vidcm.training.sources import open_latents
from vidcm.training.speed import called
from vidcm.training.start import start_processes

from .tiny import TinyBatches, TinyFamily


def lines(config) -> list[dict]:
    return [json.loads(line) for line in (Path(config.out) / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    torch._dynamo.reset()


def test_compiled_networks_train_as_they_would_otherwise(config, run):
    """Through the tracer and the autograd of `aot_eager`, which differs from inductor in its kernels alone."""
    made, losses = {}, {}
    for backend in (None, "aot_eager"):
        settings = config(str(backend), compile=backend, stage="vae", steps=3, log_every=1)
        torch.manual_seed(0)
        made[backend] = load_file(run(settings, family=TinyFamily.create({}).without_chance()) / "vae.safetensors")
        losses[backend] = [line["loss"] for line in lines(settings)]
    assert losses[None] == pytest.approx(losses["aot_eager"], rel=1e-4)
    assert losses[None][0] != losses[None][-1]
    torch.testing.assert_close(made["aot_eager"], made[None], rtol=1e-3, atol=1e-5)  # under the same names


def test_what_is_called_is_compiled_and_containers_are_not():
    family = tiny_family()
    parts = {name: child for name, child in family.vae.named_children() if child in list(called(family.vae))}
    assert {"decoder", "synthesis", "posterior", "context"} <= set(parts)
    assert list(called(family.dit)) == [family.dit]
    assert list(called(nn.ModuleList([nn.Linear(1, 1), nn.ModuleList([nn.ReLU()])])))[1].__class__ is nn.ReLU


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compile": "indcutor"}, "compile must be null or a backend of torch.compile .*inductor.*, got 'indcutor'"),
        ({"compile": "inductor", "shard": True}, "compile does not go with shard or context"),
        ({"peak_tflops": 0.0}, "peak_tflops must be a number above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(config, run, changes, said):
    with pytest.raises((WrongUse, UserError, ValueError), match=said):
        run(config(**changes))


def test_operations_are_those_of_the_products_forward_and_backward():
    layer, work = nn.Linear(8, 16, bias=False), Work(peak=1e6)
    batch = {"x": torch.randn(4, 8)}
    for _ in range(COUNTED + 2):
        with work.counted(batch):
            layer(batch["x"]).sum().backward()
    product = 2 * 4 * 8 * 16
    assert work.flops == (COUNTED + 2) * 2 * product  # of the gradient the weights' alone: x asks for none
    assert work.counts[shapes(batch)] == [2 * product] * COUNTED
    with work.counted({"x": torch.randn(8, 8)}):
        layer(torch.randn(8, 8)).sum()
    assert work.flops == (COUNTED + 3) * 2 * product  # twice the rows, forward alone
    assert work.told(10.0) == {"tflops_s": 20 * product / 1e12, "peak_share": 20 * product / 1e6}


def test_nothing_is_told_before_the_first_batch():
    assert Work(peak=1.0).told(5.0) == {}


def test_shapes_tell_batches_apart():
    nested = {"x0": torch.zeros(2, 3), "condition": {"tau": torch.zeros(2, 1)}}
    assert shapes(nested) == ((2, 3), (2, 1))


def test_a_run_tells_its_efficiency_and_is_the_same_run(config, run):
    plain, told = config("plain", stage="ect"), config("told", stage="ect", efficiency=True, peak_tflops=2.0)
    models = [run(settings) for settings in (plain, told)]
    assert models[0].joinpath("dit.safetensors").read_bytes() == models[1].joinpath("dit.safetensors").read_bytes()
    assert all("peak_share" not in line for line in lines(plain))
    for line in lines(told):
        assert line["tflops_s"] > 0
        assert line["peak_share"] == pytest.approx(line["tflops_s"] / 2, rel=1e-4)
        per_sample = 1e12 * line["tflops_s"] / line["samples_s"]
        # 16 pixels: 3 x 4 x 27 weights of the encoder; 8 x 4 of the network, twice forward, backward once for them
        frames = {2: 1.5, 4: 1.5, 6: 4 / 3}[line["step"]]  # 2, 1, 1, 2, 1, 1
        assert per_sample == pytest.approx(frames * 16 * 2 * (3 * 4 * 27 + 3 * 8 * 4), rel=1e-3)


def test_a_peak_is_measured_on_what_is_there():
    peak = measured_peak(torch.device("cpu"), torch.float32)
    assert 1e8 < peak < 1e14


@pytest.mark.gpu
def test_a_peak_on_a_gpu_is_that_of_its_tensor_cores():
    device = torch.device("cuda")
    assert measured_peak(device, torch.bfloat16) > 2 * measured_peak(device, torch.float32)


def latents(config, **changes):
    settings = config("run/deep", stage="ect", data={"batch_size": 4}, latents={"samples": 40, "shard": 9, **changes})
    torch.manual_seed(0)
    family = TinyFamily.create({}).without_chance()
    return open_latents(settings, family, start_processes(settings), TinyBatches(4), ["a"])


def test_resident_latents_are_those_on_disk(config):
    mapped, kept = latents(config), latents(config, resident=True)
    assert isinstance(kept, LatentBatches)
    for number in range(2 * mapped.per_epoch):
        torch.testing.assert_close(kept.batch(number), mapped.batch(number), rtol=0, atol=0)


def test_latents_that_do_not_fit_are_refused_with_the_sizes(config, monkeypatch):
    monkeypatch.setattr("vidcm.training.latents.free_bytes", lambda device: 1000)
    with pytest.raises(UserError, match=r"latents.resident: they take 0\.0 MiB, and 0\.0 MiB of cpu memory are free"):
        latents(config, resident=True)
