"""`vidcm finetune` in two processes, as torchrun starts them: one judges and tells, both train."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.two_processes import in_two_processes
from vidcm.finetuning.finished import forget
from vidcm.finetuning.history import History
from vidcm.finetuning.run import finetune

WEIGHTS = "1-pictures/model/vae/diffusion_pytorch_model.safetensors"
NETWORK = "1-motion/model/transformer/diffusion_pytorch_model.safetensors"


def together(*words: str | Path) -> list[subprocess.CompletedProcess[str]]:
    """The command in two gloo processes."""
    return in_two_processes(["-m", "vidcm", "finetune", *words])


def scores(run: Path) -> list[float]:
    return [json.loads(line)["headline"] for line in (run / "history.jsonl").read_text().splitlines()]


def assert_alike(one: Path, two: Path, weights: str = WEIGHTS, within: float = 0.02) -> None:
    """Scores, which rise by ten decibels, to a hundredth of one; weights to a share of how far they moved: of the same
    batches, which one process takes one after the other, to float32's roundings; of one batch of all their clips but
    for the order of sums, of which AdamW's first steps make much where a gradient is next to nothing."""
    assert scores(one) == pytest.approx(scores(two), abs=1e-2)
    start, first, second = (
        torch.cat([tensor.flatten() for _, tensor in sorted(load_file(path).items())])
        for path in (one / weights.replace("model/", "start/", 1), one / weights, two / weights)
    )
    assert (first - second).norm() < within * (first - start).norm()


@pytest.fixture
def words(dataset, model) -> list[str | Path]:
    plain = ["--device", "cpu", "--precision", "fp32", "--steps", "4", "--windows", "1", "--parts", "pictures"]
    return [dataset, "--model", model, "--batch-size", "2", *plain]


@pytest.mark.slow
def test_two_processes_tune_as_one_and_speak_with_one_voice(dataset, words, config, tmp_path):
    first, second = together(*words, "-o", tmp_path / "two", "--json")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "tuning pictures: 4 steps of 4 clips, fp32" in first.stderr
    assert first.stderr.count("validation after 4 steps") == 1
    assert json.loads(first.stdout)["event"] == "done"
    assert second.stdout == ""
    told = second.stderr.replace(str(Path(__file__).parents[2]), "")  # torch may warn, and tell where it lies
    assert not any(word in told for word in ("validation", "tuning", "step 4"))
    finetune(dataset, tmp_path / "one", config, steps=4, batch_size=4, evaluations=6)
    assert_alike(tmp_path / "one", tmp_path / "two")
    finetune(dataset, tmp_path / "in turn", config, steps=4, batch_size=2, accumulate=2, evaluations=6)
    assert_alike(tmp_path / "in turn", tmp_path / "two", within=1e-6)


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two(dataset, words, config, tmp_path, monkeypatch):
    settings = {"steps": 4, "batch_size": 2, "evaluations": 2}
    finetune(dataset, tmp_path / "whole", config, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(History, "idle", lambda *_: 9)  # ends after the first validation
        finetune(dataset, tmp_path / "parts", config, **settings)
    forget(tmp_path / "parts")  # as if it had been killed just before
    first, second = together(dataset, "-o", tmp_path / "parts", "--resume")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "1 clips in each batch instead of 2, so that a step stays 2 clips in 2 processes" in first.stderr
    assert_alike(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_weights_in_shards_are_tuned_like_whole_ones(dataset, words, config, tmp_path):
    first, second = together(*words, "-o", tmp_path / "two", "--parts", "motion", "--shard")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "2 processes on cpu, weights in shards" in first.stderr
    settings = {"parts": ("motion",), "steps": 4, "evaluations": 6}
    finetune(dataset, tmp_path / "one", config, batch_size=4, **settings)
    assert_alike(tmp_path / "one", tmp_path / "two", NETWORK)
    finetune(dataset, tmp_path / "in turn", config, batch_size=2, accumulate=2, **settings)
    assert_alike(tmp_path / "in turn", tmp_path / "two", NETWORK, within=1e-6)


@pytest.mark.slow
def test_a_mistake_is_told_once(words, tmp_path):
    first, second = together(*words, "-o", tmp_path / "two", "--parts", "motion", "--objective", "none")
    assert (first.returncode, second.returncode) == (2, 1)
    assert "unknown objective 'none'" in first.stderr
    assert len(first.stderr.strip().splitlines()) == 1
    assert second.stderr == ""
