"""`vidcm interpolate --model` with what is no model, or a broken one."""

import pickle
import shutil
from pathlib import Path

import pytest

from .interpolating import check_refusal, cut_short, interpolate

WEIGHTS = "diffusion_pytorch_model.safetensors"


def edit_weights(part: Path, edit) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {name: tensor.clone() for name, tensor in load_file(part / WEIGHTS).items()}
    edit(tensors)
    save_file(tensors, part / WEIGHTS)


def to_nan(part: Path) -> None:
    edit_weights(part, lambda tensors: next(t for t in tensors.values() if t.is_floating_point()).fill_(float("nan")))


def drop_one(part: Path) -> None:
    edit_weights(part, lambda tensors: tensors.popitem())


def pickle_instead(part: Path) -> None:
    (part / WEIGHTS).unlink()
    (part / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weight": [0.0]}))


BAD_MODELS = {
    "without index": (lambda folder: (folder / "model_index.json").unlink(), "model_index.json", 2),
    "without a part": (lambda folder: shutil.rmtree(folder / "transformer"), "transformer", 2),
    "without weights": (lambda folder: (folder / "vae" / WEIGHTS).unlink(), WEIGHTS, 1),
    "without config": (lambda folder: (folder / "vae" / "config.json").unlink(), "config.json", 1),
    "broken config": (lambda folder: (folder / "vae" / "config.json").write_text("{"), "config.json", 1),
    "broken scheduler": (
        lambda folder: (folder / "scheduler" / "scheduler_config.json").write_text("{"),
        "scheduler",
        1,
    ),
    "weights cut short": (lambda folder: cut_short(folder / "vae" / WEIGHTS, 0.5), WEIGHTS, 1),
    "weights of noise": (lambda folder: (folder / "vae" / WEIGHTS).write_bytes(b"\x93" * 4000), WEIGHTS, 1),
    "a tensor missing": (lambda folder: drop_one(folder / "transformer"), WEIGHTS, 1),
    "weights not numbers": (lambda folder: to_nan(folder / "transformer"), "NaN", 1),
    "pickled": (lambda folder: pickle_instead(folder / "vae"), "pickle", 1),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_bad_model_is_refused_in_one_line(kind: str, source: Path, out: Path, model: Path, tmp_path: Path) -> None:
    harm, reason, code = BAD_MODELS[kind]
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    harm(folder)
    run = interpolate(source, "-o", out, "--factor", "2", "--model", folder)
    check_refusal(run, reason, out.parent, code)
    assert str(folder) in run.stderr


@pytest.mark.parametrize(("name", "reason"), [("absent", "does not exist"), ("model.ckpt", "is a file")])
def test_a_model_that_is_no_folder_is_refused(name: str, reason: str, source: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(pickle.dumps({"weight": [0.0]}))
    run = interpolate(source, "-o", out, "--factor", "2", "--model", tmp_path / name)
    check_refusal(run, reason, out.parent)
