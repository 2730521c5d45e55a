"""One clip over several processes: each has some of the frames, and for temporal attention some of the places.

Spatial attention, text and MLP work frame by frame. Temporal attention works place by place: before it every process
gives away the places that are another's and gets the other frames of its own, after it the reverse (all-to-all, as
arXiv:2309.14509 has it between tokens and heads). Output and inputs are whole in every process.

Each exchange has its adjoint as gradient. So where all processes of a group compute the same loss of the output, the
mean of their gradients is the gradient that one process has: what data parallel training takes anyway.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from vidcm.core.errors import UserError

Group = Any  # of torch.distributed, whose class is not for all systems


@contextmanager
def split_frames(dit: nn.Module, group: Group) -> Iterator[None]:
    """While the block runs, a VideoDiT's calls divide the frames over the group, all of which call it alike."""
    context = Context(group)
    handles = [
        dit.register_forward_pre_hook(context.take_frames, with_kwargs=True),
        dit.register_forward_hook(context.gather_frames),
    ]
    for block in dit.blocks:
        handles.append(block.temporal.register_forward_pre_hook(context.take_places))
        handles.append(block.temporal.register_forward_hook(context.give_places))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Context:
    """The hooks of one network. frames, places: of the clip that it is called with."""

    def __init__(self, group: Group):
        self.group = group
        self.rank, self.count = distributed.get_rank(group), distributed.get_world_size(group)
        self.frames = self.places = 0

    def take_frames(self, dit: Any, args: tuple, told: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """This process's frames of all that has frames."""
        bound = inspect.signature(dit.forward).bind(*args, **told)
        self.frames, self.places = bound.arguments["x"].shape[2], bound.arguments["x"].shape[3:].numel()
        if min(self.frames, self.places) < self.count:
            raise UserError(
                f"a clip of {self.frames} latent frames with {self.places} places each cannot be divided over "
                f"{self.count} processes: lower context"
            )
        for name, axis in dit.FRAME_AXES.items():
            if bound.arguments.get(name) is not None:
                bound.arguments[name] = self.own(bound.arguments[name], axis)
        return bound.args, bound.kwargs

    def gather_frames(self, dit: nn.Module, args: tuple, made: Tensor) -> Tensor:
        return Gather.apply(made, self)

    def take_places(self, temporal: nn.Module, args: tuple) -> tuple:
        """tokens [B, own frames, N, D] -> [B, K, own places, D]; of the ends [B, 2, N, D] those places."""
        tokens, ends = args
        swapped = Exchange.apply(tokens, 2, 1, self.frames, self)
        return swapped, None if ends is None else self.own(ends, 2)

    def give_places(self, temporal: nn.Module, args: tuple, seen: Tensor) -> Tensor:
        return Exchange.apply(seen, 1, 2, self.places, self)

    def own(self, tensor: Tensor, axis: int) -> Tensor:
        return tensor.tensor_split(self.count, axis)[self.rank].contiguous()

    def lengths(self, total: int) -> list[int]:
        """How many each process has, as `tensor_split` divides them."""
        return [total // self.count + (rank < total % self.count) for rank in range(self.count)]


class Exchange(torch.autograd.Function):
    """Give away all but the own part along `axis`, get all of the others' along `other`, `total` long."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, axis: int, other: int, total: int, context: Context) -> Tensor:
        ctx.back = (other, axis, tensor.shape[axis], context)
        return exchanged(tensor, axis, other, total, context)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        return exchanged(gradient, *ctx.back), None, None, None, None


def exchanged(tensor: Tensor, axis: int, other: int, total: int, context: Context) -> Tensor:
    parts = [part.contiguous() for part in tensor.tensor_split(context.count, axis)]
    shape = list(parts[context.rank].shape)
    shapes = [torch.Size([*shape[:other], length, *shape[other + 1 :]]) for length in context.lengths(total)]
    sizes = [one.numel() for one in shapes]
    got, given = tensor.new_empty(sum(sizes)), torch.cat([part.flatten() for part in parts])
    distributed.all_to_all_single(got, given, sizes, [part.numel() for part in parts], group=context.group)
    return torch.cat([chunk.view(one) for chunk, one in zip(got.split(sizes), shapes, strict=True)], dim=other)


class Gather(torch.autograd.Function):
    """Own frames [B, C, k, h, w] -> all of them, [B, C, K, h, w]: zeros where others are, and the sum of all."""

    @staticmethod
    def forward(ctx: Any, made: Tensor, context: Context) -> Tensor:
        ctx.context = context
        whole = made.new_zeros((*made.shape[:2], context.frames, *made.shape[3:]))
        whole.tensor_split(context.count, 2)[context.rank].copy_(made)
        distributed.all_reduce(whole, group=context.group)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, group=ctx.context.group)
        return ctx.context.own(total, 2), None
