import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidcm.core.errors import UserError
from vidcm.families.checkpoint import WEIGHTS
from vidcm.families.motion import MotionFamily


@pytest.fixture
def folder(family, tmp_path):
    family.save(tmp_path / "model")
    return tmp_path / "model"


def one_line(error):
    return "\n" not in str(error.value)


def test_a_model_directory_round_trips_bit_for_bit(family, folder):
    loaded = MotionFamily.load(folder)
    for before, after in zip(family.modules(), loaded.modules(), strict=True):
        for (name, one), (other_name, two) in zip(before.state_dict().items(), after.state_dict().items(), strict=True):
            assert name == other_name
            assert torch.equal(one, two)
    assert loaded.scheduler.config == MotionFamily.load(folder).scheduler.config


def test_half_precision_weights_load_as_float32(family, tmp_path):
    family.save(tmp_path / "half", torch.bfloat16)
    loaded = MotionFamily.load(tmp_path / "half")
    weight = next(loaded.vae.parameters())
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, next(family.vae.parameters()).bfloat16().float(), atol=0, rtol=0)


def test_saving_again_replaces_the_whole_directory(family, folder):
    (folder / "stray").write_text("old")
    family.teacher = None
    family.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["model_index.json", "scheduler", "transformer", "vae"]
    assert MotionFamily.load(folder).teacher is None


def test_a_failed_save_leaves_the_old_model(family, folder, monkeypatch):
    monkeypatch.setattr(
        "vidcm.families.checkpoint._save_module", lambda *a: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        family.save(folder)
    monkeypatch.undo()
    MotionFamily.load(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("part", ["vae", "transformer"])
def test_missing_parts_and_files_are_named(folder, part):
    (folder / part / WEIGHTS).unlink()
    with pytest.raises(UserError, match=re.escape(WEIGHTS)) as error:
        MotionFamily.load(folder)
    assert one_line(error)


def test_no_directory_is_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        MotionFamily.load(tmp_path / "nowhere")


def change(folder, edit):
    path = folder / "vae" / WEIGHTS
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: t.pop("latent_mean"), "latent_mean"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra"),
        (lambda t: t.update(latent_mean=torch.zeros(9)), "latent_mean"),
        (lambda t: t["latent_mean"].fill_(float("nan")), "NaN"),
    ],
    ids=["missing key", "unexpected key", "wrong shape", "NaN"],
)
def test_weights_that_do_not_fit_are_refused(folder, edit, told):
    change(folder, edit)
    with pytest.raises(UserError, match=told) as error:
        MotionFamily.load(folder)
    assert one_line(error)


def test_damaged_weights_are_refused(folder):
    path = folder / "vae" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="does not hold the weights") as error:
        MotionFamily.load(folder)
    assert one_line(error)


def test_pickles_are_never_read(folder):
    (folder / "vae" / WEIGHTS).rename(folder / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="pickle"):
        MotionFamily.load(folder)


def test_a_config_that_is_no_json_is_refused(folder):
    (folder / "vae" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json") as error:
        MotionFamily.load(folder)
    assert one_line(error)


def test_an_unknown_scheduler_setting_is_refused(folder):
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"temperature": -1.0}))
    with pytest.raises(UserError, match="temperature") as error:
        MotionFamily.load(folder)
    assert one_line(error)
