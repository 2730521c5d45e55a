"""The noise of a call: keyed by where a frame stands, or from generators."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from vidcm.core.noise import keyed_noise
from vidcm.models.motion_vae import rows

Generators = torch.Generator | list[torch.Generator] | None


class Draw(Protocol):
    def __call__(self, index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
        """The index-th unit noise of a call, of this shape [B, C, K, h, w]; of_pair: K is 1, and the noise does not
        depend on the instants."""
        ...


def keyed(tau: Tensor, seed: int, shot: int, position: int | Sequence[int]) -> Draw:
    """Each in-between frame's keyed by where it stands, at tau [B, K] after `position`, or the pair's, where it is
    drawn for that. position: one a batch entry, or counted from one number."""
    starts = range(position, position + len(tau)) if isinstance(position, int) else position
    pairs = zip(starts, tau.tolist(), strict=True)
    places = [[start + Fraction(t).limit_denominator(10**5) for t in row] for start, row in pairs]

    def draw(index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
        channels, _, height, width = shape[1:]
        key = {"seed": seed, "shot": shot, "draw": index}
        wanted = [[start] for start in starts] if of_pair else places
        made = [[keyed_noise((channels, height, width), position=p, **key) for p in row] for row in wanted]
        return torch.stack([torch.stack(row, dim=1) for row in made]).to(tau.device)

    return draw


def generated(generator: Generators, device: torch.device) -> Draw:
    """From one generator, or from one a batch entry."""

    def draw(index: int, shape: tuple[int, ...], of_pair: bool = False) -> Tensor:
        each = generator if isinstance(generator, list) else [generator]
        size = shape if len(each) == 1 else (1, *shape[1:])
        return torch.cat([torch.randn(size, generator=g, device=g.device).to(device) for g in each])

    return draw


def sides(size: float, draw: Draw, shape: tuple[int, ...]) -> Tensor | None:
    """What the shares of both sides are drawn with, of standard deviation `size` and the same at all instants of a
    pair: [B*K, 2, h, w], of latents of that shape [B, C, K, h, w]. None for a size of 0: they are not drawn."""
    if size == 0:
        return None
    batch, _, count, height, width = shape
    noise = size * draw(0, (batch, 2, 1, height, width), of_pair=True)
    return rows(noise.expand(-1, -1, count, -1, -1))
