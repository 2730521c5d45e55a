"""Scaled dot-product attention with one place that chooses who computes it.

`xformers` where it is installed and a CUDA device runs it, PyTorch's fused `sdpa` elsewhere, `math` (plain matrix
products) where forward-mode derivatives must pass: fused kernels have no JVP. `rows` is for a CPU in bf16, where it
takes half the time of the fused kernel; a pipeline asks for it in its thread, since its roundings are others.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from vidcm.core.errors import UserError, WrongUse

logger = logging.getLogger(__name__)
ROWS = 512  # queries at a time
COLUMNS = 16  # in steps of which a product is wide: others are slower
LEAST = 256  # queries: with fewer there is nothing to gain,
FEW = 4  # but for so few, which one after the other are faster than all by the fused kernel
BOUND = 60.0  # of a score, below which the exponentials of all keys, times values, add up to a number


def _sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _math(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v)


def _xformers(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from xformers.ops import memory_efficient_attention  # its layout is [B, N, heads, D]

    return memory_efficient_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)


def _rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One head and some queries at a time: a core's cache holds their scores."""
    learns = any(x.requires_grad for x in (q, k, v))  # what is written in place has no gradient
    if learns or q.dtype != torch.bfloat16:  # other precisions would be slower
        return _sdpa(q, k, v)
    if q.shape[2] < LEAST:
        return _few(q, k, v) if max(q.shape[2], k.shape[2] // 2) <= FEW else _sdpa(q, k, v)
    q = q * q.shape[-1] ** -0.5
    seen, scores = torch.empty_like(q), q.new_empty(ROWS, k.shape[2])
    weighed = F.pad(v, (0, COLUMNS), value=1.0)  # the columns of ones add up the exponentials
    is_plain = float(q.norm(dim=-1).amax() * k.norm(dim=-1).amax()) < BOUND
    for head, known, values, place in zip(*(x.flatten(0, 1) for x in (q, k, weighed, seen)), strict=True):
        for some, made in zip(head.split(ROWS), place.split(ROWS), strict=True):
            those = torch.mm(some, known.mT, out=scores[: len(some)])
            if not is_plain:
                those -= those.amax(-1, keepdim=True)
            summed = torch.mm(those.exp_(), values)
            torch.div(summed[:, :-COLUMNS], summed[:, -1:], out=made)
    return seen


def _few(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One query at a time and all heads: their channels are added up, and handed out again, by a matrix product."""
    heads, _, dim = q.shape[1:]
    channels = torch.eye(heads, dtype=q.dtype, device=q.device).repeat_interleave(dim, dim=1)  # of each head
    q, k, v = (x.transpose(1, 2).flatten(2) for x in (q * dim**-0.5, k, v))
    shares = (torch.softmax((query * k) @ channels.T, dim=1) for query in q.split(1, dim=1))
    seen = [((share @ channels) * v).sum(1) for share in shares]
    return torch.stack(seen, dim=1).unflatten(2, (heads, dim)).transpose(1, 2)


BACKENDS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "xformers": _xformers,
    "sdpa": _sdpa,
    "math": _math,
    "rows": _rows,
}
PLAIN = ("sdpa", "rows")  # leave the calls of other libraries' networks alone
_forced: str | None = None  # of the whole process
_preferred: ContextVar[str | None] = ContextVar("preferred attention", default=None)  # of a thread


@cache
def probe(device_type: str = "cpu") -> dict[str, str]:
    """Run each backend once on a tiny input. Returns {name: "ok" or why it cannot serve}.

    xformers imports, and lets itself be chosen, on machines where its forward raises: only a call tells.
    """
    q = torch.zeros(1, 1, 8, 8, device=device_type, dtype=torch.float16 if device_type == "cuda" else torch.float32)
    found = {}
    for name, backend in BACKENDS.items():
        try:
            backend(q, q, q)
            found[name] = "ok"
        except Exception as error:  # an unusable optional kernel may raise anything, at import or at launch
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".strip()
    return found


@cache
def default_backend(device_type: str) -> str:
    """xformers on CUDA if it answers, else sdpa; says once when xformers was there but could not serve."""
    if device_type == "cuda":
        if (answer := probe(device_type)["xformers"]) == "ok":
            return "xformers"
        if not answer.startswith("ModuleNotFoundError"):
            logger.warning("attention: xformers is installed but cannot serve here (%s); using PyTorch SDPA", answer)
    return "sdpa"


@contextmanager
def attention_backend(name: str) -> Iterator[None]:
    """Compute every attention inside the block with a backend: ours, and but for `rows` that of other libraries'
    networks where they call PyTorch's. KeyError for a name that is none."""
    global _forced
    BACKENDS[name]
    before, _forced = _forced, name
    try:
        with nullcontext() if name in PLAIN else Routed(name):
            yield
    finally:
        _forced = before


@contextmanager
def preferring(name: str) -> Iterator[None]:
    """Compute our attention inside the block, in this thread, with a backend, unless `attention_backend` names one."""
    token = _preferred.set(name)
    try:
        yield
    finally:
        _preferred.reset(token)


def check_backend(name: str, device_type: str) -> None:
    """Raises UserError for a backend that is not known, or does not serve on a device when it is tried."""
    if name not in BACKENDS:
        raise WrongUse(f"attention must be one of {', '.join(BACKENDS)}, got {name!r}")
    if (answer := probe(device_type)[name]) != "ok":
        raise UserError(
            f"attention {name} cannot serve on {device_type} ({answer[:120]}): leave it out, or choose sdpa"
        )


class Routed(TorchFunctionMode):
    """Hands calls of PyTorch's attention to a backend; those with a mask or options of their own stay as they are."""

    def __init__(self, name: str):
        super().__init__()
        self._backend = BACKENDS[name]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        told = {**dict(zip(names, args, strict=False)), **kwargs}
        q, k, v = (told.pop(name) for name in names[:3])
        is_plain = not any(isinstance(value, Tensor) or value for value in told.values())
        return self._backend(q, k, v) if is_plain else func(q, k, v, **told)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [B, heads, N, D], k and v [B, heads, M, D] -> [B, heads, N, D]; softmax(q k^T / sqrt(D)) v.

    Compiled, PyTorch's own unless one is forced: what a thread prefers, and a probe, cannot be traced."""
    if torch.compiler.is_compiling():
        return BACKENDS[_forced or "sdpa"](q, k, v)
    return BACKENDS[_forced or _preferred.get() or default_backend(q.device.type)](q, k, v)
