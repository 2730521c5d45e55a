"""Exact derivatives of the VideoDiT in two processes, with gradient checkpointing: DDP is passed by, not derived."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.two_processes import in_two_processes, succeeded

SCRIPT = """
import itertools, os, sys
import torch
from vidcm.families import get
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig
from vidcm.training.loop import train

torch.set_num_threads(1)
torch.manual_seed(0)
dit = {"dim": 32, "depth": 2, "heads": 2}
family = get("clip").create({"vae": {"latent_channels": 4, "widths": [8, 8, 8]}, "dit": dit})
for parameter in family.transformer.parameters():
    if not parameter.detach().any():
        torch.nn.init.normal_(parameter, std=0.2)
family.checkpoint_gradients()
rank = int(os.environ["RANK"])

class Latents:
    def iterate(self, start=0):
        for number in itertools.count(start):
            x0 = torch.randn(2, 4, 2, 4, 4, generator=torch.Generator().manual_seed(2 * number + rank))
            yield {"x0": x0, "condition": {"condition": torch.zeros(2, 20, 2, 4, 4), "tau": torch.rand(2, 2)}}

config = from_mapping(RunConfig, {"steps": 4, "save_every": 4, "log_every": 1, "precision": "fp32", "device": "cpu",
    "processes": 2, "family": "clip", "out": sys.argv[1], "stage": sys.argv[2], "objective": {"warmup": 0}})
train(config, family=family, batches=Latents())
torch.save(family.transformer.state_dict(), f"{sys.argv[1]}/{rank}.pt")
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sct", "scd"])
def test_derivatives_are_exact_in_two_processes_with_gradient_checkpointing(tmp_path, stage):
    succeeded(in_two_processes(["-c", SCRIPT, tmp_path, stage]))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(line["jvp_exact"] == 1 and line["bad_steps"] == 0 for line in lines)
    assert lines[0]["jvp_error"] < 0.003
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(one[name].equal(two[name]) for name in one)
    assert load_file(tmp_path / "checkpoints" / "step-00000004" / "aides.safetensors")["log_weight.linear.weight"].any()
