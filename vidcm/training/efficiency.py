"""How much of a device a run uses: floating-point operations a second, and their share of the device's peak.

Operations are those of products, convolutions and attention, forward and backward, a multiply-add counted as 2. They
depend on a batch's shapes, and are counted on the first batches of each; an objective's own draws, such as the scale
that a batch is looked at, let them vary: the mean of what was counted is taken.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

COUNTED = 3  # batches of a shape
SIDES = {"cuda": 8192, "mps": 2048, "cpu": 1024}  # of the matrices that a peak is measured with
TRIES = 5

Shapes = tuple[tuple[int, ...], ...]


@dataclass
class Work:
    """Of this process. peak: floating-point operations a second that its device can do."""

    peak: float
    counts: dict[Shapes, list[int]] = field(default_factory=dict)
    flops: float = 0.0  # of all batches so far
    batches: int = 0

    @contextmanager
    def counted(self, batch: dict[str, Any]) -> Iterator[None]:
        """Around the forward and backward pass of a batch, which counting does not change but for its time."""
        seen = self.counts.setdefault(shapes(batch), [])
        if len(seen) < COUNTED:
            # compiled code would be counted as one operation, or not at all
            with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
                yield
            seen.append(counter.get_total_flops())
        else:
            yield
        self.flops, self.batches = self.flops + sum(seen) / len(seen), self.batches + 1

    def told(self, batches_s: float) -> dict[str, float]:
        """For a line of metrics, at so many batches a second; nothing before the first one."""
        if not self.batches:
            return {}
        rate = self.flops / self.batches * batches_s
        return {"tflops_s": rate / 1e12, "peak_share": rate / self.peak}


def shapes(batch: dict[str, Any]) -> Shapes:
    """Of all its tensors, those in dictionaries inside it included."""
    found: list[tuple[int, ...]] = []
    for value in batch.values():
        found += [tuple(value.shape)] if isinstance(value, Tensor) else shapes(value)
    return tuple(found)


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of the best of a few products of large matrices."""
    side = SIDES[device.type]
    matrix = torch.randn(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(TRIES + 1):  # the first one wakes the device
        synchronize(device)
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def synchronize(device: torch.device) -> None:
    """Wait for what a device was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
