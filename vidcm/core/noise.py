"""Noise as a pure function of what it is for, never of call order (docs/decisions/0005-noise-keys.md)."""

import hashlib
import math
from fractions import Fraction

import torch
from torch import Tensor


def keyed_noise(
    shape: tuple[int, ...],
    *,
    seed: int,
    shot: int,
    position: Fraction | int,
    draw: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal noise on the CPU, the same for the same arguments on every machine.

    seed: the user's; shot, position: where in the video (Fraction(2, 4) and Fraction(1, 2) are one position);
    draw: 0 for the sampler's starting noise, i for the i-th time it adds noise again.
    Another batch size, device, process or order of calls changes nothing.
    """
    place = Fraction(position)
    where = f"shot={int(shot)} position={place.numerator}/{place.denominator}"
    text = f"vidcm noise 1: seed={int(seed)} {where} draw={int(draw)}"
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return _normal(shape, torch.Generator().manual_seed(key)).to(dtype)


def randn(shape: tuple[int, ...], *, generator: torch.Generator, device: torch.device) -> Tensor:
    """Float32 noise for training: drawn where the generator lives, then moved. A CPU generator serves every device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Box-Muller in float64, rounded to float32.

    torch.randn's vector code differs in the last bits between CPU types; uniform doubles do not, and what float64
    log and cos may differ by disappears in the rounding.
    """
    uniform = torch.rand((math.prod(shape), 2), generator=generator, dtype=torch.float64)
    radius = (-2 * (-uniform[:, 0]).log1p()).sqrt()  # 1 - u is never 0
    return (radius * (2 * math.pi * uniform[:, 1]).cos()).float().reshape(shape)
