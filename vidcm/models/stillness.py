"""What stands still is taken from where it stands: motion that was measured there, a fraction of a pixel, is noise.

A place is at rest where the ends agree in it better than along the motion that was found, or as well where that is next
to none; and well enough for noise. Ground that a moving thing drags along is among it, and what a fixed camera shows
behind all that moves. A fence that has moved on by a post agrees, too, but no better than along its motion. And ground
agrees exactly where a ball is half-way, which neither end shows there: what both show along fast motion, and not in its
place, speaks against rest.
"""

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE = 14 / 255  # difference of the ends, the mean around a place: all of it at half of that, nothing beyond
SLACK = 1 / 255  # by which they have to agree better in place, or may agree worse where motion is slow
SLOW = 1.0  # pixels; nothing of that slack is left at twice as much
PASSING = 0.5  # of what is along the motion and not in its place: by so much better, too, where motion is not slow
AROUND = 3  # squares of two by two pixels: over so many they are compared, and so many at once have to be at rest
REACH = 2 * (4 * (AROUND // 2) + 1)  # pixels: compared, shrunk, grown again, smoothed, and between squares

Pair = tuple[Tensor, Tensor]


def rested(along: Pair, there: Pair, flows: Pair, present: Tensor) -> Pair:
    """`along` with what is at rest replaced by what is `there`: the ends [N, C, h, w], along the motion `flows`
    [N, 2, h, w] and in their places; h, w even. present [N, 2]: without both ends nothing is known to be at rest."""
    rest = at_rest(along, there, flows) * present.prod(1).view(-1, 1, 1, 1)
    first, last = (torch.lerp(moved, still, rest) for moved, still in zip(along, there, strict=True))
    return first, last


def at_rest(along: Pair, there: Pair, flows: Pair) -> Tensor:
    """How much each place is, 0..1 [N, 1, h, w]. Depends on REACH pixels around it at the most."""
    moving, still, passing = (around(apart(*pair)) for pair in (along, there, (middle(along), middle(there))))
    slow = (2 - halved(torch.maximum(*map(torch.abs, flows)).amax(1, keepdim=True)) / SLOW).clamp(0, 1)
    better = moving - still - (1 - slow) * PASSING * passing
    rest = (better / SLACK + slow).clamp(0, 1) * (2 - 2 * still / NOISE).clamp(0, 1)
    rest = around(grown(-grown(-rest)))
    return F.interpolate(rest, scale_factor=2, mode="bilinear", align_corners=False)


def apart(first: Tensor, last: Tensor) -> Tensor:
    """How much they differ in squares of two by two pixels, [N, 1, h/2, w/2], in the plane that differs most."""
    return halved((first - last).abs().amax(1, keepdim=True))


def middle(pair: Pair) -> Tensor:
    return (pair[0] + pair[1]) / 2


def halved(x: Tensor) -> Tensor:
    """Means of squares of two by two. Slices are added, here and below: a CPU pools several times slower."""
    return (x[..., ::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, ::2] + x[..., 1::2, 1::2]) / 4


def around(x: Tensor) -> Tensor:
    """The mean."""
    for axis in (-1, -2):
        x = reduce(torch.add, beside(x, axis)) / AROUND
    return x


def grown(x: Tensor) -> Tensor:
    """The most around each place; of -x the least."""
    for axis in (-1, -2):
        x = reduce(torch.maximum, beside(x, axis))
    return x


def beside(x: Tensor, axis: int) -> list[Tensor]:
    """What is before each place, there, and behind it; the edge repeats."""
    size, reach = x.shape[axis], AROUND // 2
    ends = (x.narrow(axis, at, 1) for at in (0, size - 1))
    first, last = (end.repeat_interleave(reach, dim=axis) for end in ends)
    padded = torch.cat((first, x, last), dim=axis)
    return [padded.narrow(axis, k, size) for k in range(AROUND)]
