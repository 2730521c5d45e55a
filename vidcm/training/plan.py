"""What a run is about to do, and what it takes, in two lines before its first step."""

from collections.abc import Iterable

import torch
from torch import Tensor

from vidcm.training.config import RunConfig
from vidcm.training.memory import free_bytes, sized
from vidcm.training.state import State


def plan_line(config: RunConfig, processes: int, device: torch.device) -> str:
    """Which processes make a step of which clips."""
    groups = processes // config.context
    cached = config.latents.samples or config.latents.prepared
    own = (config.latents.batch_size if cached else None) or config.data.batch_size
    clips = own * config.grad_accumulation * groups
    ways = [f"{processes} process{'es' if processes > 1 else ''} on {device.type}"]
    ways += [f"{config.context} of them for each clip"] if config.context > 1 else []
    if config.shard:
        ways.append("weights in shards" if processes > 1 else "weights whole, there being one process")
    parts = f"{own} x {config.grad_accumulation} batches x {groups}"
    return (
        f"plan: {config.stage} of family {config.family}, {config.steps} steps of {clips} clips ({parts}), "
        f"{config.precision}, {', '.join(ways)}"
    )


def memory_line(held: dict[str, int], device: torch.device) -> str:
    """held: what -> bytes in one process, before activations."""
    shares = " + ".join(f"{what} {sized(size)}" for what, size in held.items() if size)
    total, free = sum(held.values()), free_bytes(device)
    line = f"memory of a process: {sized(total)} of tensors ({shares}), and what activations and libraries take"
    if free is not None:
        line += f"; {sized(free)} are free"
        if total > free:
            line += ": too little, try more processes with shard=true, or lora"
    return line


def held_bytes(state: State) -> dict[str, int]:
    """Of a run's state in this process: shards count with what they hold here."""
    weights = tensor_bytes(state.trained.state_dict().values())
    moved = tensor_bytes(state.parameters)
    frozen = {id(weight): weight for module in state.family.modules() for weight in module.parameters()}
    for weight in state.parameters:
        frozen.pop(id(weight), None)
    return {
        "weights": weights,
        "gradients": moved,
        "moments": 2 * moved,
        "average": tensor_bytes(state.average.averages.values()),
        "aides": tensor_bytes(state.aides.state_dict().values()),
        "frozen parts": tensor_bytes(frozen.values()),
    }


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(own.numel() * own.element_size() for own in map(own_part, tensors))


def own_part(tensor: Tensor) -> Tensor:
    """Of a sharded tensor, what this process holds."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
