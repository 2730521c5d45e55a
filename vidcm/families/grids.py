"""Which clips the model of a directory can take, told from its configs: before torch is there, or a weight is read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vidcm.core.errors import WrongUse
from vidcm.families.grid import Grid
from vidcm.families.laid import read_adapter
from vidcm.families.published import published, read_published

Config = Mapping[str, Any]  # in older directories without what was added since


def grid_of(model: str | Path) -> Grid | None:
    """Of a directory, or of a published model. None where that cannot be told so: loading it says what is wrong."""
    try:
        index, vae, transformer = (_config(model, part) for part in ("model_index", "vae", "transformer"))
        known = GRIDS.get(index["vae"][1])
        return None if known is None else known(vae, transformer)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def check_generator(model: str | Path) -> None:
    """Raises WrongUse for the directory of something else, as far as it can be told so."""
    _, vae = _class_of(model, "vae")
    if vae is not None and vae not in GRIDS:
        raise WrongUse(f"{model} is no generator that is known here: its VAE is a {vae}; known: {', '.join(GRIDS)}")


def has_two_networks(model: str | Path) -> bool | None:
    """None where that cannot be told so."""
    try:
        return _config(model, "model_index").get("boundary_ratio") is not None
    except (OSError, ValueError, AttributeError):
        return None


def takes_adapter(model: str | Path) -> bool | None:
    """Whether its network has a place for LoRA, as diffusers' own have. None where that cannot be told so."""
    library, _ = _class_of(model, "transformer")
    return None if library is None else library == "diffusers"


def makes_inbetweens(model: str | Path) -> bool:
    """Whether it is a motion model, which makes no clips."""
    return _class_of(model, "vae")[1] == "MotionVAE"


def _class_of(model: str | Path, part: str) -> tuple[str | None, str | None]:
    """Of a part, the library and the class; None, None where the folder does not say so."""
    try:
        library, kind = _config(model, "model_index")[part]
        return str(library), str(kind)
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _config(model: str | Path, part: str) -> Config:
    """Of an adapter, its base's."""
    if str(model) in published():
        return read_published(str(model))[part]
    laid = read_adapter(model)
    folder = Path(model) if laid is None else laid.base
    file = folder / "model_index.json" if part == "model_index" else folder / part / "config.json"
    return json.loads(file.read_text(encoding="utf-8"))


def _wan(vae: Config, transformer: Config) -> Grid:
    patch = transformer.get("patch_size", (1, 2, 2))
    return Grid(vae.get("scale_factor_temporal", 4), vae.get("scale_factor_spatial", 8) * patch[-1])


def _ltx(vae: Config, transformer: Config) -> Grid:
    halved = 2 ** sum(vae["spatio_temporal_scaling"])
    time = vae.get("temporal_compression_ratio") or vae["patch_size_t"] * halved
    return Grid(time, vae.get("spatial_compression_ratio") or vae["patch_size"] * halved)


def _cogvideox(vae: Config, transformer: Config) -> Grid:
    """Twice the frames to a latent: see `CogVideoXFamily.grid`."""
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    return Grid(2 * int(vae["temporal_compression_ratio"]), side * transformer.get("patch_size", 2))


def _clip(vae: Config, transformer: Config) -> Grid:
    return Grid(4, 8)


# By the class of the VAE. What the classes themselves say, once they are built, is the same (tested).
GRIDS: dict[str, Callable[[Config, Config], Grid]] = {
    "AutoencoderKLWan": _wan,
    "AutoencoderKLLTXVideo": _ltx,
    "AutoencoderKLCogVideoX": _cogvideox,
    "VideoVAE": _clip,
}
