"""VideoVAE: a causal latent video VAE. Clips of 1 + 4 n frames become 1 + n latent frames, 8 x 8 times smaller.

The first latent frame holds the first picture alone, each later one four pictures; none knows of later ones, and a
single picture encodes as a clip of one frame. Long clips pass in chunks, large pictures in tiles.
"""

from collections.abc import Callable, Iterator

import torch
from einops import rearrange
from torch import Tensor, nn

from vidcm.core.errors import UserError
from vidcm.models.causal import Block, Grow, Norm, Past, Shrink, TemporalConv, each
from vidcm.models.cosine import aligned, basis, patterns
from vidcm.models.network import Network, configured

TIME, SIDE, PATCH = 4, 8, 4
LOG_VARIANCE = -6.0  # of the posterior, at first
REACH = 9  # latent cells: as far as the decoder, which sees the farther of the two, looks


class Blocks(nn.Module):
    """A linear transform of blocks of SIDE x SIDE pixels: of the first frame alone, of TIME frames later on.

    Starts as the strongest patterns of the discrete cosine transform, divided so that a clip that stands still has the
    same latents all through; `inverse` from them to frames."""

    def __init__(self, latent: int, *, inverse: bool = False):
        super().__init__()
        self.inverse = inverse
        first, later = (patterns(latent, frames, SIDE) for frames in (1, TIME))
        later = aligned(later, first)
        for name, chosen, frames in (("first", first, 1), ("later", later, TIME)):
            rows = basis(chosen, frames, SIDE) * (frames**0.5 if inverse else frames**-0.5)
            layer = nn.Linear(*(rows.shape if inverse else rows.T.shape))
            layer.weight.data.copy_(rows.T if inverse else rows)
            nn.init.zeros_(layer.bias)
            setattr(self, name, layer)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """Frames [B, T, 3, H, W] -> [B, t, C, h, w], or back."""
        head = x[:, : int(past.enter(self))]
        turn = self._back if self.inverse else self._there
        parts = ((head, self.first, 1), (x[:, head.shape[1] :], self.later, TIME))
        return torch.cat([turn(part, layer, frames) for part, layer, frames in parts if part.shape[1]], dim=1)

    @staticmethod
    def _there(frames: Tensor, layer: nn.Module, count: int) -> Tensor:
        blocks = rearrange(frames, "b (t f) c (h y) (w x) -> b t h w (c f y x)", f=count, y=SIDE, x=SIDE)
        return layer(blocks).movedim(-1, 2)

    @staticmethod
    def _back(latents: Tensor, layer: nn.Module, count: int) -> Tensor:
        blocks = layer(latents.movedim(2, -1))
        return rearrange(blocks, "b t h w (c f y x) -> b (t f) c (h y) (w x)", f=count, y=SIDE, x=SIDE, c=3)


class Encoder(nn.Module):
    """Frames [B, T, 3, H, W] -> mean and log-variance [B, t, 2 C, h, w]."""

    def __init__(self, widths: tuple[int, int, int], latent: int):
        super().__init__()
        fine, middle, coarse = widths
        self.blocks = Blocks(latent)
        self.embed = nn.Conv2d(3 * PATCH**2, fine, 3, padding=1)
        self.body = nn.ModuleList(
            (
                Block(fine),
                Shrink(fine, middle, space=True, time=True),
                Block(middle),
                Shrink(middle, coarse, space=False, time=True),
                Block(coarse),
            )
        )
        self.norm, self.out = Norm(coarse), nn.Conv2d(coarse, 2 * latent, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        nn.init.constant_(self.out.bias[latent:], LOG_VARIANCE)

    def forward(self, frames: Tensor, past: Past) -> Tensor:
        tokens = rearrange(frames, "b t c (h y) (w x) -> b t (c y x) h w", y=PATCH, x=PATCH)
        moments = each(self.out, self.norm(through(self.body, each(self.embed, tokens), past)))
        mean, log_variance = moments.chunk(2, dim=2)
        return torch.cat((mean + self.blocks(frames, past), log_variance), dim=2)


class Decoder(nn.Module):
    """Latents [B, t, C, h, w] -> frames [B, T, 3, H, W]."""

    def __init__(self, widths: tuple[int, int, int], latent: int):
        super().__init__()
        fine, middle, coarse = widths
        self.blocks = Blocks(latent, inverse=True)
        self.embed, self.mix = nn.Conv2d(latent, coarse, 3, padding=1), TemporalConv(coarse, coarse)
        self.body = nn.ModuleList(
            (
                Block(coarse),
                Block(coarse),
                Grow(coarse, middle, space=False, time=True),
                Block(middle),
                Block(middle),
                Grow(middle, fine, space=True, time=True),
                Block(fine),
                Block(fine),
            )
        )
        self.norm, self.out = Norm(fine), nn.Conv2d(fine, 3 * PATCH**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, latents: Tensor, past: Past) -> Tensor:
        tokens = through(self.body, self.mix(each(self.embed, latents), past), past)
        missed = rearrange(each(self.out, self.norm(tokens)), "b t (c y x) h w -> b t c (h y) (w x)", y=PATCH, x=PATCH)
        return missed + self.blocks(latents, past)


def through(body: nn.ModuleList, frames: Tensor, past: Past) -> Tensor:
    for brick in body:
        frames = brick(frames, past)
    return frames


class VideoVAE(Network):
    """See the file. Tensors at its face are [B, C, T, H, W]; frames in 0..1.

    tile: see `enable_tiling`; 0: none. chunk: latent frames that are computed at a time.
    """

    @configured
    def __init__(self, latent_channels: int = 24, widths: tuple[int, int, int] = (64, 128, 128)):
        super().__init__()
        self.encoder = Encoder(tuple(widths), latent_channels)
        self.decoder = Decoder(tuple(widths), latent_channels)
        self.register_buffer("mean", torch.zeros(latent_channels))
        self.register_buffer("std", torch.ones(latent_channels))
        self.tile, self.chunk = 0, 4

    def enable_tiling(self, tile: int = 32) -> None:
        """Make pictures in tiles of tile x tile latent cells: the same pictures, less memory, more work."""
        if tile < 1:
            raise ValueError(f"tile must be at least 1 latent cell, got {tile}")
        self.tile = tile

    def disable_tiling(self) -> None:
        self.tile = 0

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """frames [B, 3, 1 + 4 n, H, W] -> mean and log-variance of the posterior [B, C, 1 + n, H/8, W/8], unscaled.

        Raises UserError for another number of frames, or sides that 8 does not divide."""
        count, height, width = frames.shape[2:]
        if count % TIME != 1 or height % SIDE or width % SIDE:
            raise UserError(
                f"frames must be 1 + a multiple of {TIME} and sides multiples of {SIDE} for this VAE, "
                f"got {count} of {width}x{height}"
            )
        moments = self._tiled(self._encode, 2 * frames - 1, SIDE, 1)
        mean, log_variance = moments.chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def decode(self, latents: Tensor) -> Tensor:
        """Unscaled latents [B, C, 1 + n, h, w] -> frames [B, 3, 1 + 4 n, 8 h, 8 w], about 0..1, not clamped."""
        return self._tiled(self._decode, latents, 1, SIDE) / 2 + 0.5

    def scale(self, latents: Tensor) -> Tensor:
        """To mean 0 and, all channels together, unit variance over the footage; float32.

        Strong channels stay stronger, by the root of what they are: they hold most of the picture."""
        return (latents.float() - self._each(self.mean)) / self._each(self.unit)

    def unscale(self, latents: Tensor) -> Tensor:
        return latents * self._each(self.unit) + self._each(self.mean)

    @property
    def unit(self) -> Tensor:
        """What each channel is divided by, [C]: the root of its deviation times the mean one."""
        return (self.std.float() * self.std.float().mean()).sqrt()

    def follow(self, latents: Tensor, share: float = 0.02) -> None:
        """In training: move mean and std towards those of these unscaled latents."""
        found = latents.detach().float()
        self.mean.lerp_(found.mean((0, 2, 3, 4)), share)
        self.std.lerp_(found.std((0, 2, 3, 4)), share)

    @staticmethod
    def _each(values: Tensor) -> Tensor:
        return values[:, None, None, None].float()

    def _encode(self, frames: Tensor) -> Tensor:
        first, later = 1 + TIME * (self.chunk - 1), TIME * self.chunk
        return self._chunked(self.encoder, frames, first, later)

    def _decode(self, latents: Tensor) -> Tensor:
        return self._chunked(self.decoder, latents, self.chunk, self.chunk)

    @staticmethod
    def _chunked(network: nn.Module, clip: Tensor, first: int, later: int) -> Tensor:
        past, frames = Past(), clip.transpose(1, 2)
        starts = [0, *range(first, frames.shape[1], later)]
        ends = [*starts[1:], frames.shape[1]]
        made = [network(frames[:, start:end], past) for start, end in zip(starts, ends, strict=True)]
        return torch.cat(made, dim=1).transpose(1, 2)

    def _tiled(self, work: Callable[[Tensor], Tensor], clip: Tensor, cell: int, made_cell: int) -> Tensor:
        """`work` on tiles, each with all that it sees around it. cell, made_cell: pixels a latent cell, in and out."""
        height, width = (side // cell for side in clip.shape[-2:])
        if not self.tile or max(height, width) <= self.tile + REACH:
            return work(clip)
        rows = []
        for top, y in spans(height, self.tile):
            row = []
            for left, x in spans(width, self.tile):
                made = work(clip[..., slice(y[0] * cell, y[1] * cell), slice(x[0] * cell, x[1] * cell)])
                kept = (
                    slice((core[0] - seen[0]) * made_cell, (core[1] - seen[0]) * made_cell)
                    for core, seen in ((top, y), (left, x))
                )
                row.append(made[(..., *kept)])
            rows.append(torch.cat(row, dim=-1))
        return torch.cat(rows, dim=-2)


def spans(side: int, tile: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Along one side: what a tile makes and what it sees, (begin, end) each."""
    for start in range(0, side, tile):
        end = min(start + tile, side)
        yield (start, end), (max(0, start - REACH), min(side, end + REACH))
