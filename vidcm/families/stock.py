"""Directories of diffusers pipelines, as a user has them: read strictly, written back so that diffusers loads them.

Every weight that a part needs must be there and no other, as safetensors, finite; code in a directory is never run.
diffusers itself only warns of most of this.
"""

import importlib.util
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidcm.core.errors import UserError, WrongUse
from vidcm.families.checkpoint import written_whole
from vidcm.families.laid import read_adapter

INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers")
SENTENCEPIECE = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}  # package -> module
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_index(folder: str | Path) -> dict[str, Any]:
    """model_index.json: the pipeline's class, and library and class of each part. Of an adapter, its base's."""
    laid = read_adapter(folder)
    path = Path(folder if laid is None else laid.base) / INDEX
    if not Path(folder).is_dir():
        raise WrongUse(f"model directory {folder} does not exist: give a folder that save_pretrained wrote")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a complete model directory: {INDEX} is missing; copy all of it") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not JSON, take another copy: {line(error)}") from error
    if not isinstance(index, dict) or "_class_name" not in index:
        raise UserError(f"{path} does not name a pipeline (_class_name): take another copy of the model directory")
    return index


def pipeline_of(index: Mapping[str, Any]) -> str:
    """The name of the pipeline's class; one of another library than diffusers is a pair, module and name."""
    named = index["_class_name"]
    return str(named[-1] if isinstance(named, list) and named else named)


def load_part(folder: str | Path, index: Mapping[str, Any], name: str, known: tuple[str, ...], dtype: Any) -> Any:
    """The part `name` of a directory, of one of the classes `known`; None where the directory says it has none."""
    library, kind = entry(index, name, folder)
    if kind is None:
        return None
    if kind not in known or library not in LIBRARIES:
        raise UserError(
            f"{Path(folder) / INDEX}: {name} is a {library}.{kind}, which is not known here; "
            f"known: {', '.join(known)} (code that comes with a model is not run)"
        )
    part = Path(folder) / name
    if not part.is_dir():
        raise UserError(f"{folder} is not a complete model directory: {name}/ is missing; copy the whole folder")
    maker = class_of(library, kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "tokenizer":
                check_vocabulary(part)
            if not isinstance(maker, type) or not issubclass(maker, nn.Module):
                return maker.from_pretrained(str(part), local_files_only=True)
            return _load_module(maker, part, dtype)
    except UserError:
        raise
    except Exception as error:  # a dozen kinds, of both libraries and safetensors, all meaning: not these files
        raise UserError(f"{part} cannot be read as {kind}{_pickled(part)}, take another copy: {line(error)}") from error


def check_vocabulary(part: Path) -> None:
    """Raises UserError for a tokenizer without words: transformers makes some up where the file is missing."""
    if (part / "tokenizer.json").is_file():
        return
    if not (part / "spiece.model").is_file():
        raise UserError(f"{part} holds no vocabulary (tokenizer.json or spiece.model): copy the whole folder")
    missing = [name for name, module in SENTENCEPIECE.items() if not is_installed(module)]
    if missing:
        raise UserError(f"{part}/spiece.model needs {' and '.join(missing)}: pip install 'vidcm[text]'")


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def _pickled(part: Path) -> str:
    """What to say of a part whose weights are pickles."""
    pickles = sorted(file.name for file in part.glob("*") if file.suffix in PICKLES)
    if not pickles or any(part.glob("*.safetensors")):
        return ""
    return f" (pickle files such as {pickles[0]} are not read: convert to safetensors)"


def entry(index: Mapping[str, Any], name: str, folder: str | Path) -> tuple[str | None, str | None]:
    """(library, class) of a part, both None where there is none."""
    found = index.get(name) or [None, None]
    if not isinstance(found, list) or len(found) != 2 or (found[1] is not None and not isinstance(found[1], str)):
        raise UserError(f"{Path(folder) / INDEX}: {name} must be a library and a class, got {json.dumps(found)}")
    return found[0], found[1]


def class_of(library: str, kind: str) -> Any:
    try:
        return getattr(importlib.import_module(library), kind)
    except (ImportError, AttributeError) as error:
        if library == "transformers":
            raise UserError(f"{kind} needs transformers: pip install 'vidcm[text]' ({line(error)})") from error
        raise UserError(f"the installed {library} has no {kind}: pip install -U {library}") from error


def _load_module(maker: Any, part: Path, dtype: torch.dtype) -> nn.Module:
    """On the CPU, nothing left over and nothing missing, every weight in memory of its own."""
    options = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    is_plain = dtype == torch.float32 and maker.__module__.startswith("diffusers.")
    # Told nothing, diffusers loads float32, but for tables that it keeps in float64: so does the stock pipeline.
    module, info = maker.from_pretrained(str(part), torch_dtype=None if is_plain else dtype, **options)
    told = {what: sorted(map(str, info.get(f"{what}_keys") or ())) for what in ("missing", "unexpected", "mismatched")}
    for what, names in told.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"{part} does not hold the weights of {maker.__name__}: {what} {names[0]}{more}")
    for name, weight in (*module.named_parameters(), *module.named_buffers()):
        if not weight.isfinite().all():
            raise UserError(f"{part} holds NaN or infinite values in {name}: take another checkpoint")
        # Mapped files give misaligned tensors, whose products may differ in the last bit.
        weight.data = weight.data.clone()
    return module.eval().requires_grad_(False)


def save_parts(folder: str | Path, index: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Write the directory whole or not at all. Parts that are not in the index lie beside; diffusers skips them."""
    with written_whole(folder) as aside:
        for name, part in parts.items():
            if part is not None:
                part.save_pretrained(aside / name)
        (aside / INDEX).write_text(json.dumps(dict(index), indent=2) + "\n", encoding="utf-8")


def line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def hush() -> None:
    """No loading bars and no hints from the libraries."""
    from diffusers.utils import logging

    logging.set_verbosity(logging.CRITICAL)  # what it logs as an error it raises, too
    logging.disable_progress_bar()
    if is_installed("transformers"):
        from transformers.utils import logging as words

        words.set_verbosity_error()
        words.disable_progress_bar()
