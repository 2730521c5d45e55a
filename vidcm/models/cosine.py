"""The discrete cosine transform of blocks of video: what a VideoVAE starts from.

An autoencoder of its size, begun at random, was still 3 to 4 dB below these few fixed patterns after twelve thousand
clips (docs/log.md); begun here, it has only to learn what they miss.
"""

import math

import torch
from torch import Tensor

OPPONENT = (
    (1.0, 1.0, 1.0),
    (1.0, 0.0, -1.0),
    (-0.5, 1.0, -0.5),
)  # brightness and two differences of colour, orthogonal
COLOUR, TIME = 16.0, 4.0  # how much faster the power of real clips falls with colour, and with time than with space


def patterns(count: int, frames: int, side: int) -> list[tuple[int, int, int, int]]:
    """The `count` strongest in real clips, (colour, time, y, x) frequencies, strongest first: power falls with the
    cube of the frequency."""
    every = [
        (c, f, y, x) for c in range(len(OPPONENT)) for f in range(frames) for y in range(side) for x in range(side)
    ]

    def power(pattern: tuple[int, int, int, int]) -> float:
        c, f, y, x = pattern
        return (1 / COLOUR if c else 1.0) * (1 + x**2 + y**2 + TIME * f**2) ** -1.5

    return sorted(every, key=power, reverse=True)[:count]


def aligned(wanted: list[tuple[int, int, int, int]], to: list[tuple[int, int, int, int]]) -> list:
    """`wanted` with those patterns that `to` has too in the places they have there."""
    rest = iter([pattern for pattern in wanted if pattern not in to])
    return [pattern if pattern in wanted else next(rest) for pattern in to]


def basis(chosen: list[tuple[int, int, int, int]], frames: int, side: int) -> Tensor:
    """Orthonormal rows [len(chosen), 3 * frames * side * side], in the order colour, frame, y, x."""
    in_time, in_space = cosines(frames), cosines(side)
    colours = torch.tensor(OPPONENT)
    colours = colours / colours.norm(dim=1, keepdim=True)
    rows = [
        torch.einsum("c,f,y,x->cfyx", colours[c], in_time[f], in_space[y], in_space[x]).flatten()
        for c, f, y, x in chosen
    ]
    return torch.stack(rows)


def cosines(count: int) -> Tensor:
    """The orthonormal DCT-II, [frequency, place]."""
    k, i = torch.arange(count)[:, None], torch.arange(count)[None]
    table = torch.cos(math.pi * (i + 0.5) * k / count) * math.sqrt(2 / count)
    table[0] /= math.sqrt(2)
    return table
