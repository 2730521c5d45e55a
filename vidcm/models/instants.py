"""Rows of a batch: what is known of a pair, once for each instant between its frames."""

from torch import Tensor


def repeated(x: Tensor, count: int) -> Tensor:
    """[B, ...] -> [B * count, ...], each row `count` times, as `repeat_interleave`; a view where one row is all."""
    if count == 1:
        return x
    return x.expand(count, *x.shape[1:]) if len(x) == 1 else x.repeat_interleave(count, dim=0)
