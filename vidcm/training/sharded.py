"""Weights in shards: each process keeps its part of every weight, of its gradient, moments and average (FSDP2).

A block's weights are brought together for as long as it computes. Checkpoints are written by all processes, each its
shards (torch.distributed.checkpoint), and read in any number of them, sharded or not.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from vidcm.training.divided import name_in

METADATA = ".metadata"  # of torch.distributed.checkpoint
Groups = Mapping[str, Mapping[str, Tensor]]


def shard(module: nn.Module, device: torch.device) -> None:
    """Divide the module's weights over all processes, in place: block by block where it has lists of them."""
    # Said of outputs that are views, which nothing changes in place here.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    for block in blocks_of(module):
        fully_shard(block, mesh=mesh)
    # What has no backward pass would stay whole after its first call.
    still = not any(weight.requires_grad for weight in module.parameters())
    fully_shard(module, mesh=mesh, reshard_after_forward=still or None)


def blocks_of(module: nn.Module) -> Iterator[nn.Module]:
    """The members of its lists of modules, but not of lists inside those."""
    for child in module.children():
        yield from child if isinstance(child, nn.ModuleList) else blocks_of(child)


def outline(module: nn.Module) -> nn.Module:
    """A copy without weights, to be filled with whole ones."""
    bare: dict[int, Any] = {
        id(weight): nn.Parameter(torch.empty_like(weight, device="meta"), weight.requires_grad)
        for weight in module.parameters()
    }
    return copy.deepcopy(module, bare)


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Whole tensors on the CPU, one after the other; to be called by all processes. keep: else nothing is returned."""
    found = {}
    for name, tensor in tensors.items():
        whole = tensor.detach().full_tensor() if isinstance(tensor, DTensor) else tensor.detach()
        if keep:
            found[name] = whole.cpu().clone()
    return found


@contextmanager
def stood_in(family: Any, module: nn.Module, other: nn.Module) -> Iterator[None]:
    """`other` has the place of `module` in the family while the block runs."""
    name = name_in(family, module)
    assert name is not None
    setattr(family, name, other)
    try:
        yield
    finally:
        setattr(family, name, module)


def number(value: Tensor) -> float:
    """Of a tensor with one element, in shards or not; to be called by all processes."""
    return (value.full_tensor() if isinstance(value, DTensor) else value).item()


# Checkpoints --------------------------------------------------------------------------------------------------------


def is_sharded(path: Path) -> bool:
    """Whether a checkpoint was written in shards."""
    return (path / METADATA).is_file()


def write_shards(folder: Path, groups: Groups) -> None:
    """To be called by all processes. Raises what failed in one of them."""
    with bare_failures():
        dcp.save({f"{group}/{name}": tensor for group, name, tensor in flat(groups)}, checkpoint_id=folder)


def names_of(path: Path, group: str) -> list[str]:
    """What a checkpoint's group holds."""
    if is_sharded(path):
        known = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
        return [key.removeprefix(f"{group}/") for key in known if key.startswith(f"{group}/")]
    with safe_open(path / f"{group}.safetensors", "pt") as file:
        return list(file.keys())


def fill(path: Path, groups: Groups) -> None:
    """Overwrite tensors with those of a checkpoint, shards with their part; to be called by all processes.

    Raises KeyError where names differ, RuntimeError where sizes do."""
    for group, tensors in groups.items():
        if unknown := set(names_of(path, group)) ^ tensors.keys():
            raise KeyError(f"{group} of other weights, such as {min(unknown)}")
    if is_sharded(path):
        read_shards(path, groups)
        return
    for group, name, tensor in flat(groups):
        with safe_open(path / f"{group}.safetensors", "pt") as file, torch.no_grad():
            put(tensor, file.get_tensor(name))


def read_shards(path: Path, groups: Groups) -> None:
    wanted = {f"{group}/{name}": tensor for group, name, tensor in flat(groups)}
    known = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
    for key, tensor in wanted.items():
        if known[key].size != tensor.shape:
            raise RuntimeError(f"{key} is {list(known[key].size)}, not {list(tensor.shape)}")
    with warnings.catch_warnings(), bare_failures():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # in one process it is
        dcp.load(wanted, checkpoint_id=path)


def put(tensor: Tensor, whole: Tensor) -> None:
    """Overwrite a tensor, or the shard of one."""
    if isinstance(tensor, DTensor):
        whole = distribute_tensor(
            whole.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None
        )  # each process has read it: none needs to send it
    tensor.copy_(whole)


def empty_moments(names: list[str], parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors for an optimizer's state, `parameter/moment`, to be filled; sharded like the parameters."""
    made = {}
    for name in names:
        parameter, _, moment = name.rpartition("/")
        made[name] = torch.zeros(()) if moment == "step" else torch.zeros_like(parameters[parameter]).detach()
    return made


def flat(groups: Groups) -> Iterator[tuple[str, str, Tensor]]:
    return ((group, name, tensor) for group, tensors in groups.items() for name, tensor in tensors.items())


@contextmanager
def bare_failures() -> Iterator[None]:
    """torch wraps what failed in any process into an exception of its own, which is no Exception."""
    try:
        yield
    except CheckpointException as error:
        causes = [failure[0] for failure in error.failures.values()]
        raise next((cause for cause in causes if isinstance(cause, OSError)), causes[0]) from error
