"""Two processes are one with batches of double size."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.two_processes import in_two_processes, succeeded

from .tiny import TinyBatches, TinyFamily

SCRIPT = """
import importlib.util, os, signal, sys, time
from vidcm.training import checkpoint
from vidcm.training.config import RunConfig
from vidcm.training.loop import train
from vidcm.settings import from_mapping

tiny = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("tiny", sys.argv[1]))
spec.loader.exec_module(tiny)
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
at = sys.argv[4]
if at == "save" and os.environ["RANK"] == "0":
    flush = checkpoint._flush
    checkpoint._flush = lambda path: kill() if "step-00000004.tmp" in str(path) else flush(path)
rank = int(os.environ["RANK"])
def before(number):
    if at == str(number):
        kill()
    if at == "hang" and (rank, number) == (1, 3):
        time.sleep(25)
        kill()
batches = tiny.TinyBatches(2, rank, 2, before=before)
config = from_mapping(RunConfig, {"steps": 6, "save_every": 2, "log_every": 1, "precision": "fp32", "device": "cpu",
                                  "patience_minutes": 0.1 if at == "hang" else 5, "processes": 2, "out": sys.argv[2],
                                  "stage": sys.argv[3]})
train(config, family=tiny.TinyFamily.create({}).without_dropout(), batches=batches, resume=at == "resume")
"""


def train_together(out: Path, stage: str, at: str = "") -> list[str]:
    """Two gloo processes; a failure of either is shown. Returns what they said.

    at: "resume"; or where they are killed: the number of a batch, "save", in which only the first one dies, or "hang":
    the second one stops answering."""
    ended = in_two_processes(["-c", SCRIPT, Path(__file__).with_name("tiny.py"), out, stage, at])
    if at in ("", "resume"):
        succeeded(ended)
    else:
        assert all(process.returncode for process in ended)
    return [process.stderr for process in ended]


def assert_close(one: Path, two: Path) -> None:
    """Weights and averages after six steps, but for the order of sums in float32."""
    for name in ("params", "ema"):
        file = f"checkpoints/step-00000006/{name}.safetensors"
        first, second = load_file(one / file), load_file(two / file)
        for key in first:
            if key != "power":  # a running statistic of the first process's share of the batch
                torch.testing.assert_close(second[key], first[key], rtol=1e-4, atol=1e-6)


def train_alone(config, run, stage: str, **options) -> Path:
    torch.manual_seed(0)
    alone = config("alone", stage=stage, steps=6, save_every=2, log_every=1, optimizer={}, ema={})
    run(alone, family=TinyFamily.create({}).without_dropout(), batches=TinyBatches(4), **options)
    return Path(alone.out)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vae", "ect"])
def test_two_processes_train_as_one_with_batches_of_double_size(config, run, tmp_path, stage):
    """Noise included: it belongs to the samples."""
    train_together(tmp_path / "together", stage)
    assert_close(train_alone(config, run, stage), tmp_path / "together")


@pytest.mark.slow
def test_a_run_begun_in_one_process_goes_on_in_two(config, run, tmp_path):
    whole = train_alone(config, run, "ect").rename(tmp_path / "whole")
    begun = train_alone(config, run, "ect", watch=lambda step: step == 4)
    train_together(begun, "ect", "resume")
    assert_close(whole, begun)


@pytest.mark.slow
@pytest.mark.parametrize(("at", "left"), [("save", 1), ("hang", 0)])
def test_a_process_that_is_left_alone_says_so_in_one_line(tmp_path, at, left):
    """The first one dies in its save and the other waits for it, or the second one hangs."""
    said = train_together(tmp_path, "vae", at)
    assert "UserError: another process has ended, or has not answered" in said[left]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["cd", "sct"])
def test_targets_derivatives_and_weightings_work_in_two_processes(tmp_path, stage):
    train_together(tmp_path, stage)
    aides = load_file(tmp_path / "checkpoints" / "step-00000006" / "aides.safetensors")
    assert all(tensor.isfinite().all() for tensor in aides.values())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(line["bad_steps"] == 0 for line in lines)
    if stage == "sct":
        assert all(line["jvp_exact"] == 1 for line in lines)
        assert aides["log_weight.linear.weight"].any()


@pytest.mark.slow
@pytest.mark.parametrize("at", ["3", "save"])
def test_two_processes_that_were_killed_resume_to_the_same_bits(tmp_path, at):
    train_together(tmp_path / "whole", "vae")
    train_together(tmp_path / "parts", "vae", at)
    assert [path.name for path in (tmp_path / "parts" / "checkpoints").glob("step-????????")] == ["step-00000002"]
    train_together(tmp_path / "parts", "vae", "resume")
    for name in ("params", "ema", "optimizer"):
        file = f"checkpoints/step-00000006/{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes(), name
