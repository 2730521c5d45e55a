"""What makes the same steps faster on a GPU: compiled networks, and tensor cores for what stays in float32."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from vidcm.core.errors import WrongUse
from vidcm.training.config import RunConfig

SHAPES = 32  # of batches that a network is compiled for; others run as they are


def speed_up(config: RunConfig, family: Any) -> None:
    """Prepare the process and the family's networks, in place: names of weights stay what they are.

    Raises WrongUse for a backend that is none."""
    if config.tf32:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if config.compile is None:
        return
    known = torch._dynamo.list_backends(exclude_tags=())
    if config.compile not in known:
        names = ", ".join(known)
        raise WrongUse(f"compile must be null or a backend of torch.compile ({names}), got {config.compile!r}")
    torch._dynamo.config.recompile_limit = SHAPES
    for module in family.modules():
        for network in called(module):
            # for each shape by itself: to trace one program for several takes twice as long, and more
            network.compile(backend=config.compile, dynamic=False)
            network._compiled_call_impl = undisturbed(network._compiled_call_impl)


def undisturbed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Outside of modes such as `SampleDraws`, which would be compiled into every operation: networks draw nothing for
    which it is there."""

    def called_outside(*args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return call(*args, **kwargs)

    return called_outside


def called(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost modules that can be called as such; one without a `forward` is a container of them."""
    if type(module).forward is not nn.Module.forward:
        yield module
    else:
        for child in module.children():
            yield from called(child)
