"""Families without their weights: parts on the meta device, of a directory's configs or of a published model's."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from vidcm import families
from vidcm.core.errors import UserError
from vidcm.families.laid import read_adapter
from vidcm.families.published import check_known, published, read_published
from vidcm.families.stock import LIBRARIES, class_of, entry, line, pipeline_of, read_index
from vidcm.families.video import VideoFamily

OURS = ("vidcm.models.video_vae", "vidcm.models.video_dit")  # small, and ask tensors for values: built on the CPU
UNBUILT = ("tokenizer", "image_processor")  # have no weights; what they make is put in their place


def skeleton(model: str | Path, dtype: torch.dtype) -> VideoFamily:
    """Of a model directory, or of a published model; networks in `dtype`, but for parts that keep to float32.

    Raises UserError for what is neither, and for configs that are missing, damaged or of no family here.
    """
    index, configs = _configs(model)
    kind = families.get(_family_of(index, model))
    parts: dict[str, Any] = {}
    for name, known in kind.PARTS.items():
        library, part = entry(index, name, model)
        if part is None or name in UNBUILT:
            parts[name] = None
        elif part not in known or library not in (*LIBRARIES, *OURS):
            raise UserError(
                f"{model}: {name} is a {library}.{part}, which is not known here; known: {', '.join(known)}"
            )
        else:
            kept = torch.float32 if name in kind.PRECISE else dtype
            place = "cpu" if library in OURS else "meta"
            parts[name] = _built(class_of(str(library), part), configs(name), kept, f"{model}: {name}", place)
    if parts.get("image_encoder") is not None:
        parts["image_processor"] = _processor(parts["image_encoder"].config.image_size)
    family = kind(**parts, index=index, device=next(parts["transformer"].parameters()).device)
    family.check()
    return family


def _configs(model: str | Path) -> tuple[dict[str, Any], Any]:
    """model_index.json, and what gives a part's config."""
    check_known(model)
    if str(model) in published():
        told = read_published(str(model))
        return told["model_index"], told.__getitem__
    laid = read_adapter(model)
    folder = Path(model) if laid is None else laid.base
    return read_index(model), lambda name: _read(folder / name)


def _read(part: Path) -> dict[str, Any]:
    for file in (part / "config.json", part / "scheduler_config.json"):
        if file.is_file():
            try:
                return dict(json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise UserError(f"{file} is not a config, take another copy: {line(error)}") from error
    raise UserError(f"{part.parent} is not a complete model directory: the config of {part.name}/ is missing")


def _family_of(index: Mapping[str, Any], model: str | Path) -> str:
    kind = pipeline_of(index)
    name = families.reading(kind)
    if name is None:
        raise UserError(
            f"{model} holds a {kind}, which no family here generates with; known: {', '.join(families.pipelines())}"
        )
    return name


def _built(kind: Any, config: Mapping[str, Any], dtype: torch.dtype, what: str, place: str) -> Any:
    is_network = issubclass(kind, nn.Module)
    try:
        with torch.device(place if is_network else "cpu"):
            ours = hasattr(kind, "from_config") and hasattr(kind, "load_config")  # diffusers; transformers has others
            made = kind.from_config(dict(config)) if ours else kind(kind.config_class(**config))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UserError(f"{what} cannot be built as {kind.__name__}, take another copy: {line(error)}") from error
    return _cast(made, dtype).eval() if is_network else made


def _cast(module: Any, dtype: torch.dtype) -> Any:
    """As loading casts: of diffusers' networks some layers stay in float32."""
    kept = (getattr(module, "_keep_in_fp32_modules", None) or []) if hasattr(module, "load_config") else []
    for name, weight in module.named_parameters():
        if not any(part in name.split(".") for part in kept):
            weight.data = weight.data.to(dtype)
    return module.requires_grad_(False)


def _processor(side: int) -> Any:
    """Stands in for an image processor: pictures of the size that its encoder sees."""
    return lambda images, **_: SimpleNamespace(pixel_values=torch.zeros(len(images), 3, side, side))
