"""What a clip takes before it is made: memory of weights and of work, and operations, part by part.

Everything is traced on the meta device through the family's own code (vidcm/core/cost.py), so that no weight need be
there. A VAE's work in tiles is told from that of one tile and the frames that are put together: to trace all of them
takes a minute.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vidcm.core.circle import per_sample
from vidcm.core.cost import Cost, cost_of
from vidcm.core.errors import UserError

DECODING, JOINING = 2, 5  # copies of the frames that are held beside a tile, which overlap, and while they are joined
NONE = Cost()
ANGLE = 1.0  # any: what a network takes does not depend on the noise level
Shape = tuple[int, int, int]  # num_frames, height, width


@dataclass(frozen=True)
class Part:
    """kind: its class. weights: bytes. work: of one call; calls: how many for a clip. tiled: bytes at work in tiles."""

    name: str
    kind: str
    parameters: int
    weights: int
    work: Cost = NONE
    calls: int = 1
    tiled: int | None = None

    def low(self) -> int:
        """Bytes at work, in tiles where it can be."""
        return self.work.bytes if self.tiled is None else min(self.work.bytes, self.tiled)


@dataclass(frozen=True)
class Needs:
    """Of a clip of that shape in `steps` steps, one network evaluation each."""

    shape: Shape
    steps: int
    parts: tuple[Part, ...]

    @property
    def resident(self) -> int:
        """Bytes with all parts on the device."""
        return sum(part.weights for part in self.parts) + max(part.work.bytes for part in self.parts)

    @property
    def in_turn(self) -> int:
        """Bytes where parts that do not work wait elsewhere, and frames are decoded in tiles (--low-memory)."""
        return max(part.weights + part.low() for part in self.parts)

    @property
    def flops(self) -> int:
        return sum(part.work.flops * part.calls for part in self.parts)


def needs(family: Any, shape: Shape, steps: int) -> Needs:
    """family: on the meta device (`families.skeleton`). Raises UserError for a clip that the model cannot make."""
    family.grid.check(*shape)
    parts: list[Part] = []
    told: dict[str, Tensor] = {}
    if family.text_encoder is not None:
        told, work = _text(family)
        parts.append(_part("text_encoder", family.text_encoder, work))
    given, seen = _given(family, shape)
    parts += [
        _part(name, module)  # an image encoder's work is small; a teacher has none
        for name in ("image_encoder", "teacher")
        if (module := getattr(family, name)) is not None
    ]
    x = torch.empty(1, *family.latent_shape(*shape), device=family.device)
    for number, network in enumerate(family.networks):
        denoise = family.denoiser({**told, **given}, network)
        work = cost_of(lambda denoise=denoise: denoise(x, per_sample(ANGLE, x)))
        name = "transformer" if number == 0 else f"transformer_{number + 1}"
        parts.append(_part(name, network, work, _share(steps, len(family.networks))[number]))
    decoded = cost_of(lambda: family.decode(x))
    work = Cost(max(decoded.bytes, seen.bytes), decoded.flops + seen.flops)
    parts.append(_part("vae", family.vae, work, tiled=_tiled(family, shape)))
    return Needs(shape, steps, tuple(parts))


def _part(name: str, module: Any, work: Cost = NONE, calls: int = 1, tiled: int | None = None) -> Part:
    weights = [*module.parameters(), *module.buffers()]
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    return Part(name, type(module).__name__, sum(w.numel() for w in module.parameters()), size, work, calls, tiled)


def _text(family: Any) -> tuple[dict[str, Tensor], Cost]:
    """What the networks are told of a prompt, and what encoding it takes. A mask would be asked for its values."""
    ids = torch.zeros(1, family.tokens, dtype=torch.long, device=family.device)
    with torch.no_grad():
        embedded = family.text_encoder(ids)[0]
    return family.told(embedded, torch.ones_like(ids, dtype=torch.bool)), cost_of(lambda: family.text_encoder(ids))


def _given(family: Any, shape: Shape) -> tuple[dict[str, Tensor], Cost]:
    """The condition of as few given frames as the model asks for, and what encoding them takes."""
    frame = torch.zeros(1, 3, *shape[1:])
    for first, last in ((None, None), (frame, None), (frame, frame)):
        found: dict[str, Tensor] = {}
        try:
            work = cost_of(partial(_tell, found, family, first, last, shape))
        except UserError:
            continue
        return found | ({"rate": torch.ones(1)} if "rate" in found else {}), work
    raise UserError("this model takes neither no frame, nor a first, nor a first and a last one")


def _tell(found: dict[str, Tensor], family: Any, first: Tensor | None, last: Tensor | None, shape: Shape) -> None:
    found.update(family.images(first, last, shape, 1, 1.0))


def _share(steps: int, networks: int) -> list[int]:
    """Calls of each network; of two, the first answers the first half of the steps, or a step more."""
    return [len(range(steps)[number::networks]) for number in range(networks)]


def _tiled(family: Any, shape: Shape) -> int | None:
    """Bytes at work in tiles, None for a clip of one tile."""
    count, height, width = shape
    tile = tuple(getattr(family.vae, f"tile_sample_min_{side}", None) for side in ("height", "width"))
    if None in tile or (height <= tile[0] and width <= tile[1]):
        return None
    side = family.grid.side
    low, wide = (max(side, min(whole, most) // side * side) for whole, most in zip((height, width), tile, strict=True))
    x = torch.empty(1, *family.latent_shape(count, low, wide), device=family.device)
    one = cost_of(lambda: family.decode(x))
    frames = 3 * count * height * width * next(family.vae.parameters()).element_size()
    return max(one.bytes + DECODING * frames, JOINING * frames)
