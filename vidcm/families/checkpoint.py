"""Model directories: written whole or not at all, read only when complete, finite and free of pickles."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from vidcm.core.errors import UserError, WrongUse
from vidcm.core.permissions import open_as_new
from vidcm.models.network import Network, Scheduler

WEIGHTS = "diffusion_pytorch_model.safetensors"
Component = TypeVar("Component", bound=Network | Scheduler)


def load_component(kind: type[Component], folder: str | Path, name: str) -> Component:
    """The part `name` of a model directory, in float32. Raises UserError naming what is wrong and what to do."""
    part = Path(folder) / name
    if not Path(folder).is_dir():
        raise WrongUse(f"model directory {folder} does not exist: give a folder that vidcm or save_pretrained wrote")
    if not part.is_dir():
        raise WrongUse(f"{folder} is not a complete model directory: {name}/ is missing; copy the whole folder")
    if not issubclass(kind, nn.Module):
        return _from_config(kind, part, kind.config_name)
    for needed in ("config.json", WEIGHTS):
        if not (part / needed).is_file():
            pickled = [file.name for file in part.glob("*") if file.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]
            hint = f" (pickle files such as {pickled[0]} are not read: convert to safetensors)" if pickled else ""
            raise UserError(f"{part} is incomplete: {needed} is missing{hint}")
    return _load_weights(kind, part)


def _load_weights(kind: Any, part: Path) -> Any:
    module = _from_config(kind, part, "config.json")
    from safetensors.torch import load_file

    try:
        tensors = load_file(part / WEIGHTS)
        tensors = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}  # off the mapped file
        module.load_state_dict(tensors, strict=True)
    except Exception as error:  # safetensors and load_state_dict raise several kinds, all meaning: not these weights
        raise UserError(
            f"{part / WEIGHTS} does not hold the weights of {kind.__name__}: take another copy or, if they were tuned "
            f"with an earlier version, tune anew ({_line(error)})"
        ) from error
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise UserError(f"{part / WEIGHTS} holds NaN or infinite values in {bad[0]}: take another checkpoint")
    return module.eval()


def _from_config(kind: Any, part: Path, name: str) -> Any:
    """An instance with the settings of a config file; every setting must be known and legal."""
    try:
        config = json.loads((part / name).read_text(encoding="utf-8"))
        return kind(**{key: value for key, value in config.items() if not key.startswith("_")})
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{part / name} is not a config of {kind.__name__}: {_line(error)}") from error


def save_model(folder: str | Path, pipeline: str, parts: Mapping[str, Any], dtype: torch.dtype) -> None:
    """Write every part (None: left out) in the diffusers layout, aside first and renamed when whole."""
    index: dict[str, Any] = {"_class_name": ["vidcm.pipelines", pipeline]}
    with written_whole(folder) as aside:
        for name, part in parts.items():
            if part is None:
                continue
            index[name] = [type(part).__module__, type(part).__name__]
            if isinstance(part, nn.Module):
                _save_module(part, aside / name, dtype)
            else:
                part.save_pretrained(aside / name)
        (aside / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


@contextmanager
def written_whole(folder: str | Path) -> Iterator[Path]:
    """A new folder beside `folder` to write into, which takes its place when the block ends without an error."""
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        open_as_new(aside)
        put_in_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def put_in_place(aside: Path, folder: Path) -> None:
    """Rename, the old folder out of the way first and deleted last; a model card (*.md) in it is carried over."""
    old = aside.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        for card in folder.glob("*.md"):
            shutil.copy2(card, aside)
        os.replace(folder, old)
    os.replace(aside, folder)
    shutil.rmtree(old, ignore_errors=True)


def _save_module(module: Any, folder: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import save_file

    module.save_config(folder)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
