"""The random numbers of a step as a function of the sample, not of the process or the batch that it is in.

Objectives and families draw for a batch at once, from the generator that they are handed: randn(shape, generator=...).
Under this mode, the part of such a draw that belongs to a sample comes from a generator of its own, keyed by the
sample's number in the run. So one process with batches of 16 draws what two with batches of 8 draw, and two batches of
8 that are accumulated; a run may be resumed in another number of processes. A draw that is not for samples (a scalar,
say) comes from the generator itself, which is the same in all processes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]


class SampleDraws(TorchFunctionMode):
    """generator: whose draws are meant; seed_of(sample, draw): of the draw-th for a sample, 0 <= sample < batch."""

    def __init__(self, generator: torch.Generator, batch: int, seed_of: Callable[[int, int], int]):
        super().__init__()
        self._generator, self._batch, self._seed_of = generator, batch, seed_of
        self._draws = 0

    def __torch_function__(self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function not in SPLIT or kwargs.get("generator") is not self._generator:
            return function(*args, **kwargs)
        rows, draw = SPLIT[function](*args, **{name: value for name, value in kwargs.items() if name != "generator"})
        if rows is None or rows % self._batch or not rows:
            return function(*args, **kwargs)
        made = [draw(rows // self._batch, generator) for generator in self._generators()]
        self._draws += 1
        return torch.cat(made)

    def _generators(self) -> list[torch.Generator]:
        device = self._generator.device
        seeds = [self._seed_of(sample, self._draws) for sample in range(self._batch)]
        return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def _of_shape(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Any:
    """randn, rand (*shape or a shape), randint ([low,] high, shape)."""
    size = kwargs.pop("size", None)
    before: tuple[Any, ...] = ()
    if size is None:
        shaped = args and isinstance(args[-1], Sequence)
        before, size = (args[:-1], args[-1]) if shaped else ((), args)
    else:
        before = args
    rows, *others = tuple(size) or (None,)
    return rows, lambda count, generator: function(*before, (count, *others), generator=generator, **kwargs)


def _of_shares(shares: Tensor, count: int, replacement: bool = False) -> Any:
    """multinomial of one row of shares, with replacement."""
    if shares.ndim != 1 or not replacement:
        return None, None
    return count, lambda rows, generator: torch.multinomial(shares, rows, replacement=True, generator=generator)


SPLIT: dict[Any, Callable[..., Any]] = {
    torch.randn: lambda *args, **kwargs: _of_shape(torch.randn, *args, **kwargs),
    torch.rand: lambda *args, **kwargs: _of_shape(torch.rand, *args, **kwargs),
    torch.randint: lambda *args, **kwargs: _of_shape(torch.randint, *args, **kwargs),
    torch.multinomial: lambda shares, count, *args, **kwargs: _of_shares(shares, count, *args, **kwargs),
}
