"""Latents in a prepared dataset, made once by `vidcm prepare --latents MODEL`: their layout, and batches of them.

DATASET/latents/encoder.json              what made them: hash and folder of the model, family, shape and pace of clips
DATASET/latents/clips/<clip>.safetensors  of a scene: x0 [N, C, T, h, w], and condition.<name>: what the network is told
DATASET/latents/texts/<hash>.safetensors  of a caption: what the network is told of it, one row each

Each file is written aside and renamed: it is whole or not there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.core.processes import launched
from vidcm.data.arrays import text_digest
from vidcm.data.clip import Clip
from vidcm.training.step import keyed_seed

FOLDER, FACTS = "latents", "encoder.json"


@dataclass(frozen=True)
class EncodedAs:
    """encoder: its hash; model: where it lay; rate: frames a second, None: the footage's own."""

    encoder: str
    model: str
    family: str
    num_frames: int
    height: int
    width: int
    rate: float | None

    @classmethod
    def of(cls, dataset: Path) -> "EncodedAs | None":
        """What the latents of a dataset were made by; None where there are none."""
        path = dataset / FOLDER / FACTS
        if not path.is_file():
            return None
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}): delete {path.parent} and encode again") from error

    def save(self, dataset: Path) -> None:
        write_aside(dataset / FOLDER / FACTS, json.dumps(asdict(self), indent=1) + "\n")

    def check(self, dataset: Path, encoder: str, model: str | Path) -> None:
        """Raises UserError for the latents of another encoder."""
        if self.encoder != encoder:
            raise UserError(
                f"the latents in {dataset} are of the encoder {self.encoder} ({self.model}), {model} has {encoder}: "
                f"take that model, or delete {dataset / FOLDER}"
            )

    def check_clips(self, dataset: Path, num_frames: int | None, pixels: tuple[int, int] | None) -> None:
        """Raises UserError where clips of another length or of other (height, width) are asked for."""
        asked = (num_frames or self.num_frames, *(pixels or (self.height, self.width)))
        if asked != (self.num_frames, self.height, self.width):
            pace = f" at about {self.rate:g} a second" if self.rate else ""
            raise UserError(
                f"the latents in {dataset} are of {self.num_frames} frames of {self.width}x{self.height}{pace}, not of "
                f"{asked[0]} frames of {asked[2]}x{asked[1]}: leave these options out, or delete {dataset / FOLDER}"
            )


def shard_of(dataset: Path, clip: Clip) -> Path:
    return dataset / FOLDER / "clips" / f"{clip.digest}.safetensors"


def text_of(dataset: Path, caption: str) -> Path:
    return dataset / FOLDER / "texts" / f"{text_digest(caption)}.safetensors"


def rows_in(shard: Path) -> int:
    """How many clips a shard holds; 0 for one that is not there or not whole."""
    try:
        with safe_open(shard, "pt") as opened:
            return int(opened.get_slice("x0").get_shape()[0])
    except (OSError, SafetensorError):
        return 0


class PreparedLatents:
    """Batches of latents, {"x0": [B, C, T, h, w], "condition": {...}}: a pure function of (seed, number, rank).

    Sample numbers run through steps, then ranks, then places in the batch; an epoch goes through all clips once, in a
    new order. told(caption): what the network is told of a caption that is not in the dataset, a row.
    """

    def __init__(self, dataset: Path, clips: Sequence[Clip], batch_size: int, seed: int, *, told: Any, place: Mapping):
        self.dataset, self.batch_size, self.seed, self._told = dataset, batch_size, seed, told
        self.rank, self.world = place["rank"], place["world"]
        found = [(clip, row) for clip in clips for row in range(rows_in(shard_of(dataset, clip)))]
        self.samples: list[tuple[Clip, int]] = launched().told(found)  # the same in all processes
        if not self.samples:
            raise UserError(f"{dataset} has no latents of its training clips: run vidcm prepare --latents MODEL again")
        self._order = lru_cache(maxsize=2)(self._shuffled)
        self._text = lru_cache(maxsize=64)(self._read_text)

    def iterate(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Batches number start, start + 1, ... without end."""
        for number in count(start):
            yield self.batch(number)

    def batch(self, number: int) -> dict[str, Any]:
        chosen = [self.sample(place) for place in self._numbers(number)]
        rows = [self._read(*one) for one in chosen]
        tensors = {name: in_float32(torch.stack([row[name] for row in rows])) for name in rows[0]}
        condition = {name.removeprefix("condition."): tensor for name, tensor in tensors.items() if name != "x0"}
        texts = [self._text(clip.caption) for clip, _ in chosen]
        condition |= {name: in_float32(torch.cat([text[name] for text in texts])) for name in texts[0]}
        return {"x0": tensors["x0"], "condition": condition}

    def clips_of(self, number: int) -> list[str]:
        """The files that a batch is drawn from."""
        return sorted({self.sample(place)[0].file for place in self._numbers(number)})

    def sample(self, number: int) -> tuple[Clip, int]:
        epoch, place = divmod(number, len(self.samples))
        return self.samples[self._order(epoch)[place]]

    def _numbers(self, number: int) -> range:
        first = (number * self.world + self.rank) * self.batch_size
        return range(first, first + self.batch_size)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.Generator(np.random.Philox(keyed_seed(self.seed, epoch))).permutation(len(self.samples))

    def _read(self, clip: Clip, row: int) -> dict[str, Tensor]:
        """Of a shard that cannot be read any more, in a line what to do: it is no frame that others could stand for."""
        shard = shard_of(self.dataset, clip)
        try:
            with safe_open(shard, "pt") as opened:
                return {name: opened.get_slice(name)[row].clone() for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{shard} cannot be read any more ({' '.join(str(error).split())[:120]}): run vidcm prepare --latents "
                "again, then go on with --resume"
            ) from error

    def _read_text(self, caption: str) -> dict[str, Tensor]:
        path = text_of(self.dataset, caption)
        found = load_file(path) if caption and path.is_file() else self._told(caption)
        return {name: tensor.clone().to("cpu") for name, tensor in found.items()}


def in_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
