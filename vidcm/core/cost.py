"""What a call takes without making it: on the meta device tensors have shapes and no memory, and kernels do not run.

Memory is the largest sum of the storages alive at one time, as eager PyTorch frees them; the workspace of kernels and
what an allocator rounds up come on top. Operations are those of products and convolutions, a multiply-add counted as 2.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

SHARING = (torch.ops.aten._unsafe_view.default,)  # a view that does not say so


@dataclass(frozen=True)
class Cost:
    """bytes: the most that was held at one time beyond what was there before. flops: floating-point operations."""

    bytes: int = 0
    flops: int = 0


def cost_of(call: Callable[[], Any]) -> Cost:
    """Of a call, on the meta device or another, without gradients; what it returns is held to the end."""
    with torch.no_grad(), Operations() as seen, FusedAttention() as fused:
        call()
    return Cost(seen.peak, seen.flops + fused.flops)


class Operations(TorchDispatchMode):
    """Counts operations, and watches storages come and go. peak: of the sum of those that were made inside, bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self.now = self.flops = 0
        self._held: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **kwargs, out_val=made)
        if is_new(func):
            for tensor in made if isinstance(made, tuple | list) else (made,):
                if isinstance(tensor, Tensor):
                    self._hold(tensor.untyped_storage())
        return made

    def _hold(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._held:
            return
        self._held.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size).atexit = False

    def _free(self, key: int, size: int) -> None:
        self._held.discard(key)
        self.now -= size


@cache
def is_new(func: Any) -> bool:
    """Whether an operation makes storages; others return views of their input, or the input itself."""
    return all(told.alias_info is None for told in func._schema.returns) and func not in SHARING


class FusedAttention(TorchFunctionMode):
    """Attention as fused kernels make it: its scores are never held (they are where no kernel takes the input, such as
    one whose last dimension is not dense). flops: of all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        q, k, v = (*args, *(kwargs[name] for name in ("query", "key", "value")[len(args) :]))[:3]
        self.flops += 2 * q[..., 0].numel() * k.shape[-2] * (q.shape[-1] + v.shape[-1])
        return torch.empty(*q.shape[:-1], v.shape[-1], dtype=q.dtype, device=q.device)
