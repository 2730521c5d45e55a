"""Scaled dot-product attention with one place that chooses who computes it.

`xformers` where it is installed and a CUDA device runs it, PyTorch's fused `sdpa` elsewhere, `math` (plain matrix
products) where forward-mode derivatives must pass: fused kernels have no JVP.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

logger = logging.getLogger(__name__)


def _sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _math(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v)


def _xformers(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from xformers.ops import memory_efficient_attention  # its layout is [B, N, heads, D]

    return memory_efficient_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)


BACKENDS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"xformers": _xformers, "sdpa": _sdpa, "math": _math}
_forced: str | None = None


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
    """Compute every attention inside the block with `xformers`, `sdpa` or `math`. KeyError for another name."""
    global _forced
    BACKENDS[name]
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [B, heads, N, D], k and v [B, heads, M, D] -> [B, heads, N, D]; softmax(q k^T / sqrt(D)) v."""
    return BACKENDS[_forced or default_backend(q.device.type)](q, k, v)
