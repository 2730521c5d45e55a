"""`scripts/train_motion.py`, as small as it goes: from videos to a model in pieces, and once more."""

import importlib.util
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.data.clip_makers import scene_frames, write_video
from tests.families.conftest import tiny_family
from vidcm.cli.main import cli
from vidcm.families.motion import MotionFamily
from vidcm.pipelines import Calibration, calibration_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_motion.py"
MODEL = {
    "vae": {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]},
    "dit": {"dim": 32, "depth": 1, "heads": 2},
}
SMALL = [
    "device=cpu",
    "data.workers=0",
    "data.batch_size=2",
    "data.crop=[64, 64]",
    "log_every=1",
    f"vae:model={json.dumps(MODEL)}",
    *(f"{stage}:latents.{key}" for stage in ("diffusion", "ect") for key in ("samples=8", "shard=4", "batch_size=2")),
]


@pytest.fixture
def recipe(monkeypatch):
    """The script as a module that trains in this process; `ran`: what it has run."""
    spec = importlib.util.spec_from_file_location("train_motion", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran, whole = [], module.run

    def run(*words):
        module.ran.append([str(word) for word in words])
        if words[0] != "-m":
            return whole(*words)
        done = CliRunner().invoke(cli, module.ran[-1][2:])
        assert done.exit_code == 0, done.output

    monkeypatch.setattr(module, "run", run)
    return module


@pytest.fixture
def footage(tmp_path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    for seed, name in enumerate("ab"):
        write_video(folder / f"{name}.mp4", scene_frames(seed, 10))
    (folder / "manifest.csv").write_text("file,source,split\na.mp4,a,train\nb.mp4,b,train\n")
    return folder


def start(recipe, footage, *words) -> None:
    out = footage.parent / "runs"
    settings = [*SMALL, f"data.cache={footage.parent / 'cache'}"]
    options = ["-o", out, "--no-sampling", *(word for text in settings for word in ("--set", text)), *words]
    done = CliRunner().invoke(recipe.main, [str(footage), *map(str, options)])
    assert done.exit_code == 0, (done.output, done.exception)


def test_the_whole_recipe_leaves_a_model_in_pieces_and_goes_on_where_it_stood(recipe, footage, tmp_path):
    words = ["--set", "steps=3", "--set", "last_stage=0", "--pieces", tmp_path / "pieces"]
    start(recipe, footage, *words)
    assert [ran[2:4] for ran in recipe.ran[:3]] == [
        ["train", str(recipe.recipe_of(stage))] for stage in ("vae", "diffusion", "ect")
    ]
    family = MotionFamily.load(tmp_path / "runs" / "motion-ect" / "model")
    assert family.teacher is not None
    index = json.loads((tmp_path / "pieces" / "pieces.json").read_text())
    assert sum(piece["bytes"] for piece in index["pieces"]) > sum(p.numel() for p in family.vae.parameters())
    before = (tmp_path / "runs" / "motion-ect" / "metrics.jsonl").read_text()
    start(recipe, footage, *words)
    assert (tmp_path / "runs" / "motion-ect" / "metrics.jsonl").read_text() == before  # nothing to do twice


def test_minutes_become_steps_once_and_the_curriculum_goes_with_them(recipe, footage, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "TRIAL", 4)
    given = {"data.footage": str(footage), "data.cache": str(tmp_path / "cache")}
    given |= dict(text.split("=", 1) for text in SMALL if ":" not in text)
    given |= {"model": json.dumps(MODEL)}
    (tmp_path / "runs").mkdir()
    steps = recipe.steps_for(30.0, "vae", tmp_path / "runs", given)
    told = json.loads((tmp_path / "runs" / "motion-vae-plan.json").read_text())
    assert steps == told["steps"] == pytest.approx(30 / told["step_s"], abs=0.5)
    assert len(recipe.ran) == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["motion-vae-plan.json"]
    assert recipe.steps_for(999.0, "vae", tmp_path / "runs", given) == steps
    assert len(recipe.ran) == 1  # timed once


def test_a_curriculum_is_stretched_with_the_steps(recipe):
    plain = recipe.read_recipe("ect")
    stretched = recipe.curriculum("ect", {"steps": str(3 * plain["steps"])})
    assert stretched == {"samples_per_stage": str(3 * plain["samples_per_stage"])}
    half = str(plain["latents"]["batch_size"] // 2)
    assert recipe.curriculum("ect", {"latents.batch_size": half}) == {
        "samples_per_stage": str(plain["samples_per_stage"] // 2)
    }
    assert recipe.curriculum("ect", {}) == recipe.curriculum("vae", {"steps": "9"}) == {}


def test_the_gpu_recipe_is_made_of_settings_that_there_are(recipe):
    from vidcm.training.config import load_config

    for stage in ("vae", "diffusion", "ect", "decoder"):
        config = load_config(recipe.recipe_of(stage), [f"{k}={v}" for k, v in recipe.gpu_settings(stage).items()])
        assert (config.compile, config.tf32, config.efficiency, config.device) == ("inductor", True, True, "cuda")
        assert config.latents.resident == (stage in ("diffusion", "ect"))


@pytest.mark.parametrize("text", ["steps", "vea:steps=3"])
def test_a_setting_that_is_none_is_refused(recipe, footage, text):
    done = CliRunner().invoke(recipe.main, [str(footage), "--set", text])
    assert done.exit_code == 2
    assert "write KEY=VALUE, or STAGE:KEY=VALUE" in done.output
    assert not recipe.ran


SETTLING = ["fit_belief", "choose_sampling", "calibrate_confidence"]


def choosing(recipe, monkeypatch, fails: str = ""):
    """The scripts of the last part stood in for, of which one may fail: what each does to the model is one file."""

    def run(script, model, clips, *words):
        recipe.ran.append(script.stem)
        if script.stem == fails:
            raise KeyboardInterrupt
        if script.stem == "fit_belief":
            assert clips.name == "encoded"
        (model / f"{script.stem}.json").write_text('{"intercept": 5.0, "slope": -8.0, "spread": 2.0}')

    monkeypatch.setattr(recipe, "run", run)


def test_what_is_chosen_on_clips_is_there_whole_and_once_for_the_same_weights(recipe, tmp_path, monkeypatch):
    trained, out, clips = tmp_path / "motion-ect" / "model", tmp_path / "motion", tmp_path / "clips"
    tiny_family(0).save(trained)
    (tmp_path / "latents" / "encoded").mkdir(parents=True)
    choosing(recipe, monkeypatch, fails="calibrate_confidence")
    with pytest.raises(KeyboardInterrupt):
        recipe.settled(trained, out, clips, "cpu")
    assert not out.exists()
    choosing(recipe, monkeypatch)
    for _ in range(2):
        recipe.ran.clear()
        assert recipe.settled(trained, out, clips, "cpu") == out
    assert not recipe.ran
    assert all((out / f"{script}.json").exists() for script in SETTLING)
    assert MotionFamily.load(out).teacher is not None
    tiny_family(1).save(trained)
    recipe.settled(trained, out, clips, "cpu")
    assert recipe.ran == SETTLING
    assert recipe.weights_of(out) == recipe.weights_of(trained)  # nothing was really fitted here


def test_a_model_in_the_package_keeps_the_calibration_of_its_confidence(recipe, tmp_path):
    tiny_family().save(tmp_path / "model")
    fitted = Calibration(5.0, -8.0, 2.0)
    fitted.save(tmp_path / "model")
    recipe.put_into_package(tmp_path / "model", tmp_path / "assets")
    assert calibration_of(tmp_path / "assets") == fitted
