"""What tells one encoder from another: a hash of all that makes latents and embeddings out of clips and captions."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from vidcm.core.errors import UserError
from vidcm.families.laid import read_adapter

NOTES = ("tokenizer_config.json", "special_tokens_map.json")  # that a library adds to as it likes
PARTS = ("vae", "text_encoder", "tokenizer", "image_encoder", "image_processor")


def encoder_digest(folder: str | Path) -> str:
    """Of the encoders of a model directory, or of an adapter's base; 16 hexadecimal digits.

    Weights count by name, shape and value, settings without what diffusers notes of files and versions: a directory
    that was saved again, or whose network was tuned, has the same."""
    laid = read_adapter(folder)
    root = Path(folder if laid is None else laid.base)
    found = hashlib.sha256()
    for part in PARTS:
        if (root / part).is_dir():
            found.update(part.encode())
            for piece in _pieces(root / part):
                found.update(piece)
    return found.hexdigest()[:16]


def _pieces(part: Path) -> Iterator[bytes]:
    try:
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            if file.name in NOTES:
                continue
            if file.suffix == ".json" and not file.name.endswith(".index.json"):
                told = json.loads(file.read_text("utf-8"))
                plain = [(key, told[key]) for key in sorted(told) if not key.startswith("_")]
                yield json.dumps(plain, sort_keys=True).encode()
            elif file.suffix == ".model":
                yield file.read_bytes()
        yield from _weights(sorted(part.glob("*.safetensors")))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise UserError(f"{part} cannot be read, take another copy: {' '.join(str(error).split())[:200]}") from error


def _weights(files: list[Path]) -> Iterator[bytes]:
    """Name, shape and values of every weight, by name, however they are divided into files."""
    where = {}
    for file in files:
        with safe_open(file, "pt") as opened:
            where |= dict.fromkeys(opened.keys(), file)
    for name in sorted(where):
        with safe_open(where[name], "pt") as opened:
            weight = opened.get_tensor(name)
        yield f"{name} {tuple(weight.shape)} {weight.dtype}".encode()
        yield weight.contiguous().flatten().view(torch.uint8).numpy().tobytes()
