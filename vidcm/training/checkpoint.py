"""Checkpoints that are whole or not there: written aside, checksummed, flushed to the disk, then renamed.

    FOLDER/step-00001000/
        <name>.safetensors    one file per group of tensors: params, ema, optimizer; or, in their place,
        __<rank>_0.distcp     the shards of each process (vidcm/training/sharded.py)
        state.json            step, clock, counters
        manifest.json         SHA-256 of every file above

A run killed at any instant leaves the previous checkpoint valid; one that does not verify is skipped with a notice.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidcm.core.permissions import open_as_new

MANIFEST = "manifest.json"
STATE = "state.json"

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint on disk."""

    path: Path
    step: int  # steps done
    state: dict[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """A group of tensors on the CPU, copied: mapped ones are misaligned, and results can differ in the last bit."""
        return {key: tensor.clone() for key, tensor in load_file(self.path / f"{name}.safetensors").items()}


def write_tensors(folder: Path, groups: Mapping[str, Tensors]) -> None:
    """A file for each group."""
    for name, tensors in groups.items():
        plain = {key: tensor.detach().contiguous().cpu() for key, tensor in tensors.items()}
        save_file(plain, folder / f"{name}.safetensors")
    open_as_new(folder)


def save(
    folder: Path,
    step: int,
    groups: Mapping[str, Tensors],
    state: Mapping[str, Any],
    *,
    keep: int,
    write: Callable[[Path, Mapping[str, Tensors]], None] = write_tensors,
    is_first: bool = True,
    wait: Callable[[], None] = lambda: None,
) -> Path:
    """Write `step-XXXXXXXX` into `folder` and remove all but the newest `keep` checkpoints. Returns its path.

    write: called by every process that calls this; is_first: of the one that does the rest; wait: until all are here.
    """
    final = folder / f"step-{step:08d}"
    aside = folder / f"{final.name}.tmp"
    if is_first:
        _remove(aside)
        aside.mkdir(parents=True)
    wait()
    try:
        write(aside, groups)
        wait()
        if is_first:
            _seal(aside, {**state, "step": step})
    except BaseException:
        if is_first:
            shutil.rmtree(aside, ignore_errors=True)  # a full disk gets its room back
        raise
    if is_first:
        _remove(final)  # an older one of this step is there only when it was damaged
        aside.rename(final)
        _flush(folder)
        _prune(folder, keep, step)
    return final


def _seal(aside: Path, state: Mapping[str, Any]) -> None:
    """What goes with the tensors, and every file down to the disk."""
    (aside / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    sums = {path.name: checksum(path) for path in sorted(aside.iterdir())}
    (aside / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")
    for path in aside.iterdir():
        _flush(path)


def newest(folder: Path, notice: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint in `folder` that verifies; each damaged one on the way is told to `notice`."""
    for path in reversed(_complete(folder)):
        try:
            return _verified(path)
        except (OSError, ValueError, KeyError) as error:
            notice(f"skipping the damaged checkpoint {path.name}: {error}")
    return None


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """The optimizer's state as `parameter/moment`; `names` are its parameters' in order."""
    state = optimizer.state_dict()["state"]
    return {f"{names[i]}/{moment}": value for i, moments in state.items() for moment, value in moments.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, names: Sequence[str], tensors: Tensors) -> None:
    """The inverse of `optimizer_tensors`. Learning rates and the like stay those of the running config."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    index = {name: i for i, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, moment = key.rpartition("/")
        like = parameters[index[name]]
        if tensor.shape == like.shape:
            tensor = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)  # the parameter's memory format
        state.setdefault(index[name], {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _verified(path: Path) -> Checkpoint:
    sums = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    for name, expected in sums.items():
        if checksum(path / name) != expected:
            raise ValueError(f"the checksum of {name} does not match")
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    return Checkpoint(path, state["step"], state)


def any_in(folder: Path) -> bool:
    """Whether there is a checkpoint, be it damaged."""
    return bool(_complete(folder))


def _complete(folder: Path) -> list[Path]:
    """Checkpoints that were renamed into place, oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.suffix == "")


def _prune(folder: Path, keep: int, step: int) -> None:
    """Later ones than of `step` were damaged and passed over."""
    names = [path.name for path in _complete(folder)]
    last = names.index(f"step-{step:08d}") + 1
    for name in [*names[: max(0, last - keep)], *names[last:], *(path.name for path in folder.glob("step-*.tmp"))]:
        _remove(folder / name)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _flush(path: Path) -> None:
    """Force a file, or the entries of a folder where the system can, onto the disk."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
