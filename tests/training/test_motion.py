"""The command on the real family and real batches, as small as they go: every stage starts from the one before."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result

from vidcm import losses
from vidcm.cli.main import cli
from vidcm.data.clips import Clip, ClipCache
from vidcm.families.motion import MotionFamily
from vidcm.training.checkpoint import newest

MODEL = {
    "vae": {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]},
    "dit": {"dim": 32, "depth": 1, "heads": 2},
}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A config file over a cache of two clips of noise that drifts."""
    cache = tmp_path / "cache"
    cache.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (80, 112, 3), np.uint8)
    frames = np.stack([np.roll(noise, 2 * i, axis=1) for i in range(10)])
    clips = []
    for name in ("one", "two"):
        np.save(cache / f"{name}.npy", frames)
        instants = tuple(Fraction(i, 25) for i in range(len(frames)))
        clips.append(Clip(name, name, "train", name, 0, 0, f"{name}.npy", frames.shape, 0, instants))
    ClipCache(cache, tuple(clips)).save()
    data = {"cache": str(cache), "workers": 0, "batch_size": 2, "crop": [64, 64], "between": {1: 0.5, 3: 0.5}}
    run = {"device": "cpu", "steps": 3, "log_every": 1, "save_every": 2, "data": data}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    return tmp_path / "run.yaml"


def vidcm_train(settings: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["train", str(settings), *words])


def test_every_stage_trains_from_the_one_before(settings, tmp_path):
    latents = ["latents.samples=8", "latents.shard=4"]
    model = json.dumps(MODEL)
    for stage, init, *words in (
        ("vae", "null", f"model={model}"),
        ("diffusion", "vae/model", *latents),
        ("ect", "diffusion/model", *latents),
        ("decoder", "ect/model"),
    ):
        start = init if init == "null" else str(tmp_path / init)
        result = vidcm_train(settings, f"stage={stage}", f"init={start}", f"out={tmp_path / stage}", *words)
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(tmp_path / stage / "model")
        family = MotionFamily.load(tmp_path / stage / "model")
        assert (family.teacher is not None) == (stage in ("ect", "decoder"))
        lines = [json.loads(line) for line in (tmp_path / stage / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2, 3]
        assert all(line["bad_steps"] == 0 for line in lines)
    assert len(list((tmp_path / "latents").iterdir())) == 1  # encoded once for both objectives


OBJECTIVES = Path(__file__).parents[2] / "configs" / "objectives"


def test_every_objective_has_a_recipe():
    assert {path.stem for path in OBJECTIVES.glob("*.yaml")} == set(losses.available()) - {"diffusion"}


def test_every_recipe_trains_on_the_real_family(settings, tmp_path):
    """Two steps each, on latents encoded once, from an untrained diffusion model."""
    torch.manual_seed(0)
    MotionFamily.create(MODEL).save(tmp_path / "start")
    run = yaml.safe_load(settings.read_text())
    small = [f"{key}={json.dumps(value)}" for key, value in run.items() if key != "data"]
    small += [f"data.{key}={json.dumps(value)}" for key, value in run["data"].items()]
    small += [f"init={tmp_path / 'start'}", "steps=2", "latents.samples=8", "latents.shard=4", "latents.batch_size=2"]
    small.append("last_stage=0")  # two steps have no room for more
    for recipe in sorted(OBJECTIVES.glob("*.yaml")):
        result = vidcm_train(recipe, *small, f"out={tmp_path / recipe.stem}")
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in (tmp_path / recipe.stem / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2]
        assert all(line["bad_steps"] == 0 for line in lines)
        if recipe.stem in ("sct", "scd"):
            assert lines[0]["jvp_exact"] == 1
            assert lines[0]["jvp_error"] < 0.02
        assert MotionFamily.load(tmp_path / recipe.stem / "model").teacher is not None


def test_the_real_family_resumes_bit_for_bit(settings, tmp_path):
    words = ["steps=4", f"model={json.dumps(MODEL)}"]
    assert vidcm_train(settings, f"out={tmp_path / 'whole'}", *words).exit_code == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    last = tmp_path / "parts" / "checkpoints" / "step-00000004"
    for file in (*last.glob("*.safetensors"), last / "manifest.json"):
        file.unlink()
    result = vidcm_train(settings, f"out={tmp_path / 'parts'}", *words, "--resume")
    assert "resuming after step 2" in result.stderr
    whole = newest(tmp_path / "whole" / "checkpoints", print)
    for file in whole.path.glob("*.safetensors"):
        assert file.read_bytes() == (last / file.name).read_bytes(), file.name


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["optimizer.lrr=1"], 2, "unknown key optimizer.lrr (did you mean lr?)"),
        (["stage=etc"], 2, "unknown stage 'etc'"),
        (["family=motoin"], 2, "unknown family 'motoin'"),
        (["init=no/such/model"], 2, "no/such/model does not exist"),
        (["data.cache=no/such/cache"], 1, "no clip cache in"),
        (["stage=vae", "latents.samples=4"], 2, "latents are for objectives, the stage vae sees pictures"),
        (["--resum"], 2, "No such option"),
    ],
)
def test_a_mistake_is_told_in_one_line(settings, tmp_path, words, code, message):
    result = vidcm_train(settings, f"out={tmp_path / 'out'}", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if words != ["--resum"]:
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_config_is_wrong_use(tmp_path):
    assert vidcm_train(tmp_path / "none.yaml").exit_code == 2
