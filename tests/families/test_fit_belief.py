"""`scripts/fit_belief.py`: a VAE from before there was a belief gets one, which learns; nothing else of it changes."""

import importlib.util
from pathlib import Path

import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from vidcm.training.latents import rows_of, write_shard

SCRIPT = Path(__file__).parents[2] / "scripts" / "fit_belief.py"
WEIGHTS = "model/vae/diffusion_pytorch_model.safetensors"
OURS = "context.belief."


def test_a_belief_alone_is_fitted(family, batch, tmp_path):
    family.save(tmp_path / "model")
    before = {name: x for name, x in load_file(tmp_path / WEIGHTS).items() if not name.startswith(OURS)}
    save_file(before, tmp_path / WEIGHTS, metadata={"format": "pt"})
    rows = rows_of(*family.encode(batch, generator=torch.Generator().manual_seed(0)))
    assert (rows["condition.condition"][:, -1] > 0).any()  # something is hinted
    write_shard(tmp_path / "latents" / "shard-00000", [rows] * 24)
    spec = importlib.util.spec_from_file_location("fit_belief", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    asked = [str(tmp_path / "model"), str(tmp_path / "latents"), "--steps", "101"]
    run = CliRunner().invoke(script.main, asked, catch_exceptions=False)
    first, last = (float(line.split()[-1]) for line in run.output.splitlines())
    assert last < first  # each step sees all of it
    after = load_file(tmp_path / WEIGHTS)
    assert {name for name in after if not name.startswith(OURS)} == set(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert type(family).load(tmp_path / "model").vae.context.belief.g[-1].weight.abs().max() > 0
