"""A cache of what a frozen VAE makes of the data: encode once, then train the denoiser from memory-mapped arrays.

    DIR/<key>/shard-00000/<shape of x0>.<name>.npy    one row per sample; names: x0, condition.<name of the family's>
    DIR/<key>/shard-00000/sizes.json                  file sizes: what a whole shard is checked against

The key is a hash of the VAE's weights and of everything that decides what is encoded: a stale cache is never taken.
Shards are written aside and renamed; an interrupted encoding continues at the first missing one. Features and x0 are
kept in float16 (they are of order one; an overflow is an error), small tensors such as tau as they are.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidcm.core.errors import UserError
from vidcm.training.memory import free_bytes, sized
from vidcm.training.metrics import clock, say
from vidcm.training.step import keyed_seed

Rows = dict[str, np.ndarray]  # by name, one row per sample
Encode = Callable[[dict[str, Tensor], int], Rows]
SIZES = "sizes.json"


def latent_key(vae: nn.Module, facts: Mapping[str, Any]) -> str:
    """A short name for the latents of these weights under these facts (anything JSON can say)."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(vae.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def encode_shards(folder: Path, shards: Iterable[int], per_shard: int, batches: Any, encode: Encode) -> None:
    """Make the missing ones of `shards`, ascending, of `per_shard` batches each.

    batches.iterate(start) yields the batches from a number on; encode(batch, number) makes rows of one.
    """
    missing = [shard for shard in shards if not is_whole(folder / shard_name(shard))]
    stream, position, begun = None, -1, time.monotonic()
    for done, shard in enumerate(missing):
        if stream is None or position != shard * per_shard:
            close(stream)
            stream, position = batches.iterate(shard * per_shard), shard * per_shard
        numbers = range(position, position + per_shard)
        write_shard(folder / shard_name(shard), [encode(next(stream), number) for number in numbers])
        position += per_shard
        left_s = (time.monotonic() - begun) / (done + 1) * (len(missing) - done - 1)
        say(f"latents: shard {done + 1}/{len(missing)}, {clock(left_s)} left")
        if done == 0:
            check_space(folder, shard_name(shard), len(missing) - 1)
    close(stream)


def close(stream: Any) -> None:
    if stream is not None:
        stream.close()


def rows_of(x0: Tensor, condition: Mapping[str, Tensor]) -> Rows:
    """Arrays to store: float16 for tensors with an extent in space or time, the others as they are."""
    named = {"x0": x0, **{f"condition.{name}": tensor for name, tensor in condition.items()}}
    rows = {}
    for name, tensor in named.items():
        kept = tensor.half() if tensor.is_floating_point() and tensor.ndim > 2 else tensor
        if kept.is_floating_point() and not kept.isfinite().all():
            raise UserError(f"the VAE's {name} holds values that are not finite in float16: check its weights")
        rows[name] = kept.cpu().numpy()
    return rows


def write_shard(path: Path, batches: list[Rows]) -> None:
    """One shard from its batches, those with equal shapes of x0 together."""
    aside = path.with_name(path.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    groups: dict[str, list[Rows]] = {}
    for rows in batches:
        groups.setdefault("x".join(map(str, rows["x0"].shape[1:])), []).append(rows)
    for group, members in groups.items():
        for name in members[0]:
            np.save(aside / f"{group}.{name}.npy", np.concatenate([rows[name] for rows in members]))
    sizes = {file.name: file.stat().st_size for file in sorted(aside.iterdir())}
    (aside / SIZES).write_text(json.dumps(sizes), encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    aside.rename(path)


def is_whole(path: Path) -> bool:
    try:
        sizes = json.loads((path / SIZES).read_text(encoding="utf-8"))
        return all((path / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def check_space(folder: Path, made: str, more: int) -> None:
    """Before the disk is full: `more` shards like the one just made must fit."""
    need = more * sum(file.stat().st_size for file in (folder / made).iterdir())
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"the latents need {need / 2**30:.1f} GiB more in {folder}, {free / 2**30:.1f} are free: "
            "lower latents.samples or set latents.dir"
        )


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}"


class LatentBatches:
    """Batches of latents, {"x0": [B, C, K, h, w], "condition": {...}}: a pure function of (seed, number, rank).

    Samples with equal shapes come together, in all `parts` batches of a step, which has the same samples in any number
    of parts and processes. An epoch goes through all of them once in a new order, except for those that do not fill a
    last step. resident: the device that keeps all of them in its memory; none:
    they are mapped from disk.
    """

    def __init__(
        self,
        folder: Path,
        shards: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        parts: int = 1,
        resident: torch.device | None = None,
    ):
        self.batch_size, self.seed, self.rank, self.world, self.parts = batch_size, seed, rank, world, parts
        self._arrays: dict[str, dict[str, list[np.ndarray]]] = {}  # group -> name -> one array per shard
        for shard in range(shards):
            for file in sorted((folder / shard_name(shard)).glob("*.npy")):
                group, name = file.name.removesuffix(".npy").split(".", 1)
                self._arrays.setdefault(group, {}).setdefault(name, []).append(np.load(file, mmap_mode="r"))
        self._ends = {group: np.cumsum([len(array) for array in named["x0"]]) for group, named in self._arrays.items()}
        self._step = batch_size * world * parts  # samples
        self.per_epoch = sum(int(ends[-1]) // self._step for ends in self._ends.values())  # steps
        if not self.per_epoch:
            raise UserError(f"too few latents in {folder} for a batch of {self._step}: raise latents.samples")
        self._plan = lru_cache(maxsize=2)(self._shuffled)
        self._resident = {} if resident is None else self._moved(resident)

    def _moved(self, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """All latents in the device's memory, as they are stored. Raises UserError where they do not fit."""
        need = sum(array.nbytes for named in self._arrays.values() for arrays in named.values() for array in arrays)
        free = free_bytes(device)
        if free is not None and need > free:
            raise UserError(
                f"latents.resident: they take {sized(need)}, and {sized(free)} of {device.type} memory are free: leave "
                "it out, or lower latents.samples"
            )
        return {
            group: {name: torch.from_numpy(np.concatenate(arrays)).to(device) for name, arrays in named.items()}
            for group, named in self._arrays.items()
        }

    def iterate(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Batches number start, start + 1, ... without end."""
        for number in count(start):
            yield self.batch(number)

    def batch(self, number: int) -> dict[str, Any]:
        step, part = divmod(number, self.parts)
        epoch, place = divmod(step, self.per_epoch)
        group, rows = self._plan(epoch)[place]
        first = (part * self.world + self.rank) * self.batch_size
        mine = rows[first : first + self.batch_size]
        tensors = {name: self._gather(group, name, mine) for name in self._arrays[group]}
        condition = {name.removeprefix("condition."): tensor for name, tensor in tensors.items() if name != "x0"}
        return {"x0": tensors["x0"], "condition": condition}

    def _gather(self, group: str, name: str, rows: np.ndarray) -> Tensor:
        if self._resident:
            kept = self._resident[group][name]
            tensor = kept[torch.from_numpy(rows).to(kept.device)]
        else:
            tensor = torch.from_numpy(self._stacked(group, name, rows))
        return tensor.float() if tensor.dtype == torch.float16 else tensor

    def _stacked(self, group: str, name: str, rows: np.ndarray) -> np.ndarray:
        arrays, ends = self._arrays[group][name], self._ends[group]
        shards = np.searchsorted(ends, rows, side="right")
        places = rows - ends[shards]  # from the end of the shard: negative
        return np.stack([arrays[shard][place] for shard, place in zip(shards, places, strict=True)])

    def _shuffled(self, epoch: int) -> list[tuple[str, np.ndarray]]:
        """The steps of an epoch: (group, its samples for all processes)."""
        rng = np.random.Generator(np.random.Philox(keyed_seed(self.seed, epoch)))
        size = self._step
        steps = []
        for group, ends in sorted(self._ends.items()):
            order = rng.permutation(int(ends[-1]))
            steps += [(group, order[i : i + size]) for i in range(0, len(order) - size + 1, size)]
        return [steps[i] for i in rng.permutation(len(steps))]
