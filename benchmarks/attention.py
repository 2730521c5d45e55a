"""Speed and memory of each attention backend at the shapes of Wan's blocks: `python -m benchmarks.attention`.

Self-attention over all tokens of an 81-frame clip, and cross-attention to 512 tokens of text, as one block of Wan 2.1
1.3B and 14B computes them at 832x480 and 1280x720; bfloat16 on CUDA, there also each of the kernels that `sdpa` chooses
from. Without a GPU, a twentieth of the tokens in float32, which says whether a backend works here and nothing of speed
elsewhere. Every backend is held against plain products in float64 on the first 64 queries of a head.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

HEADS = {"1.3B": 12, "14B": 40}
TOKENS = {"832x480": 21 * 30 * 52, "1280x720": 21 * 45 * 80}  # latent frames x rows x columns, patches of 2 x 2
WIDTH, TEXT = 128, 512  # of a head; tokens of a prompt
SMALLER = 20  # without a GPU
CHECKED = 64  # queries
MIB = 2**20
KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


@dataclass(frozen=True)
class Row:
    """ms: median of the calls; mib: what a call takes beside its inputs, 0 where nothing tells; error: largest
    difference to float64, over the largest value."""

    model: str
    size: str
    kind: str
    backend: str
    tokens: int
    heads: int
    ms: float | None
    tflops: float | None
    mib: float
    error: float | None
    why: str = ""


def measure(device: str, repeats: int, models: list[str]) -> Iterator[Row]:
    from vidcm.models.attention import BACKENDS, probe

    answers, backends = probe(device), dict(BACKENDS)
    if device == "cuda":
        backends |= {f"sdpa, {name.lower()}": partial(one_kernel, kernel) for name, kernel in KERNELS.items()}
    for model in models:
        for size, whole in TOKENS.items():
            tokens = whole if device == "cuda" else whole // SMALLER
            for kind, keys in (("self", tokens), ("cross", TEXT)):
                q, k, v = drawn(device, HEADS[model], tokens, keys)
                for name, backend in backends.items():
                    where = (model, size, kind, name, tokens, HEADS[model])
                    if answers.get(name, "ok") != "ok":
                        yield Row(*where, None, None, 0.0, None, answers[name].partition(":")[0])
                    elif name == "math" and scores_bytes(q, k) > room(device):
                        yield Row(*where, None, None, 0.0, None, f"scores of {scores_bytes(q, k) / 2**30:.0f} GiB")
                    else:
                        yield timed(where, backend, q, k, v, repeats)


def one_kernel(kernel: SDPBackend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with sdpa_kernel(kernel):
        return F.scaled_dot_product_attention(q, k, v)


def drawn(device: str, heads: int, tokens: int, keys: int) -> list[Tensor]:
    """q, k, v as Wan's projections leave them: [1, heads, N, WIDTH], dense in tokens."""
    generator = torch.Generator(device).manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    made = (torch.randn(1, n, heads, WIDTH, generator=generator, device=device) for n in (tokens, keys, keys))
    return [each.to(dtype).transpose(1, 2) for each in made]


def scores_bytes(q: Tensor, k: Tensor) -> int:
    """Of `math`, which holds them twice, in float32."""
    return 2 * 4 * q.shape[1] * q.shape[2] * k.shape[2]


def room(device: str) -> int:
    return torch.cuda.mem_get_info()[0] if device == "cuda" else 2**30


@torch.inference_mode()
def timed(where: tuple, backend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, repeats: int) -> Row:
    is_cuda = q.device.type == "cuda"
    try:
        found = backend(q, k, v)  # the first call also compiles and reserves
    except RuntimeError as refused:  # a kernel that does not take this shape or device
        return Row(*where, None, None, 0.0, None, type(refused).__name__)
    error = compared(found, q, k, v)
    del found
    before = torch.cuda.memory_allocated() if is_cuda else 0
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    took = [once(backend, q, k, v, is_cuda) for _ in range(repeats)]
    mib = (torch.cuda.max_memory_allocated() - before) / MIB if is_cuda else 0.0
    flops = 4 * q.shape[1] * q.shape[2] * k.shape[2] * WIDTH
    seconds = median(took)
    return Row(*where, 1000 * seconds, flops / seconds / 1e12, round(mib, 1), error)


def once(backend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, is_cuda: bool) -> float:
    started = time.perf_counter()
    backend(q, k, v)
    if is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def compared(found: Tensor, q: Tensor, k: Tensor, v: Tensor) -> float:
    few = q[:, :1, :CHECKED].double()
    exact = ((few @ k[:, :1].double().mT) / WIDTH**0.5).softmax(-1) @ v[:, :1].double()
    return ((found[:, :1, :CHECKED].double() - exact).abs().max() / exact.abs().max()).item()


def table(rows: list[Row]) -> str:
    lines = ["| model | size | attention | backend | ms | TFLOP/s | MiB | error |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        told = row.why if row.ms is None else f"{row.ms:.2f}"
        more = "| | |" if row.ms is None else f"{row.tflops:.3g} | {row.mib or '-'} | {row.error:.1e} |"
        lines.append(f"| {row.model} | {row.size} | {row.kind} | {row.backend} | {told} | {more}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--models", nargs="+", default=list(HEADS), choices=list(HEADS))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.device == "cuda":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, bfloat16, 81 frames\n")
    else:
        print(f"CPU, {torch.get_num_threads()} threads, float32, a {SMALLER}th of the tokens: no figures for a GPU\n")
    rows = list(measure(options.device, options.repeats, options.models))
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
