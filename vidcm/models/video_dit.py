"""VideoDiT: a spatiotemporal diffusion transformer over latent frames at arbitrary positions in time.

Spatial attention works inside a frame, temporal attention at one place across the frames asked for and the two known
end frames, where a model has such; a text, where it reads one, is attended to as a whole. Axial rotary embeddings
(arXiv:2104.09864) make position relative, so that the trained weights serve other picture sizes; time positions are the
real tau, so any set of in-between instants can be asked for together. Modulation by noise level is adaLN with one
shared projection and a learned offset a block (arXiv:2310.00426).
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from vidcm.models.attention import attention
from vidcm.models.network import Network, configured


def sinusoid(position: Tensor, dim: int, longest: float) -> Tensor:
    """Sines and cosines of `position` [...] at dim/2 wavelengths from 2 pi / 64 to `longest`: [..., dim].

    Float32, or float64 where the position is."""
    octaves = torch.linspace(math.log(64), math.log(2 * math.pi / longest), dim // 2, device=position.device)
    phase = position.to(torch.promote_types(position.dtype, torch.float32))[..., None] * octaves.exp()
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


def rotary_tables(height: int, width: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin [H*W, head_dim/2] of a 2-D axial rotary embedding: one half of the pairs turns with y, one with x."""
    frequency = 32.0 ** -torch.linspace(0, 1, head_dim // 4, device=device)
    y = torch.arange(height, device=device, dtype=torch.float32)[:, None] * frequency
    x = torch.arange(width, device=device, dtype=torch.float32)[:, None] * frequency
    angle = torch.cat((y[:, None].expand(-1, width, -1), x[None].expand(height, -1, -1)), dim=-1).flatten(0, 1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of channels of x [..., N, D] by its angle."""
    cos, sin = (table.to(x.dtype) for table in tables)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation of the last axis, in float32 at least: torch's own refuses mixed precision."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        return F.rms_norm(x.to(wide), self.weight.shape, self.weight.to(wide)).to(x.dtype)


class SpatialAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.norm_q, self.norm_k = RMSNorm(dim // heads), RMSNorm(dim // heads)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
        """tokens [B, K, N, D]: every token sees the N of its own frame."""
        q, k, v = rearrange(self.qkv(tokens), "b t n (three h d) -> three (b t) h n d", three=3, h=self.heads)
        q, k = rotate(self.norm_q(q), tables), rotate(self.norm_k(k), tables)
        seen = attention(q, k, v)
        return self.out(rearrange(seen, "(b t) h n d -> b t n (h d)", b=tokens.shape[0]))


class CrossAttention(nn.Module):
    """Of tokens to others beside themselves."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.kv = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.norm_q, self.norm_k = RMSNorm(dim // heads), RMSNorm(dim // heads)
        self.out = nn.Linear(dim, dim)


class TemporalAttention(CrossAttention):
    def forward(self, tokens: Tensor, ends: Tensor | None) -> Tensor:
        """tokens [B, K, N, D] see, at their own place, all K frames and the two ends [B, 2, N, D]."""
        q = rearrange(self.q(tokens), "b t n (h d) -> (b n) h t d", h=self.heads)
        known = self.kv(tokens if ends is None else torch.cat((tokens, ends), dim=1))
        k, v = rearrange(known, "b t n (two h d) -> two (b n) h t d", two=2, h=self.heads)
        seen = attention(self.norm_q(q), self.norm_k(k), v)
        return self.out(rearrange(seen, "(b n) h t d -> b t n (h d)", b=tokens.shape[0]))


class TextAttention(CrossAttention):
    """Starts silent."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, heads)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: Tensor, text: Tensor) -> Tensor:
        """tokens [B, K, N, D], all of which see the text [B, L, D]."""
        q = rearrange(self.q(tokens), "b t n (h d) -> b h (t n) d", h=self.heads)
        k, v = rearrange(self.kv(text), "b l (two h d) -> two b h l d", two=2, h=self.heads)
        seen = attention(self.norm_q(q), self.norm_k(k), v)
        return self.out(rearrange(seen, "b h (t n) d -> b t n (h d)", t=tokens.shape[1]))


class Block(nn.Module):
    """Spatial attention, temporal attention and an MLP, each normalised, modulated and gated by the noise level.

    text: whether it also attends to a text."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int, dropout: float, text: bool = False):
        super().__init__()
        self.spatial, self.temporal = SpatialAttention(dim, heads), TemporalAttention(dim, heads)
        self.text = TextAttention(dim, heads) if text else None
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_ratio * dim), nn.GELU("tanh"), nn.Dropout(dropout), nn.Linear(mlp_ratio * dim, dim)
        )
        self.offset = nn.Parameter(torch.zeros(9, dim))

    def forward(
        self,
        tokens: Tensor,
        ends: Tensor | None,
        modulation: Tensor,
        tables: tuple[Tensor, Tensor],
        text: Tensor | None = None,
    ) -> Tensor:
        """modulation [B, K, 9, D]: shift, scale and gate of the three parts."""
        shift, scale, gate = (modulation + self.offset)[:, :, None].unflatten(3, (3, 3)).unbind(4)

        def modulated(part: int) -> Tensor:
            normed = F.layer_norm(tokens, tokens.shape[-1:])
            return normed * (1 + scale[:, :, :, part]) + shift[:, :, :, part]

        tokens = tokens + gate[:, :, :, 0] * self.spatial(modulated(0), tables)
        tokens = tokens + gate[:, :, :, 1] * self.temporal(modulated(1), ends)
        if self.text is not None and text is not None:
            tokens = tokens + self.text(F.layer_norm(tokens, tokens.shape[-1:]), text)
        return tokens + gate[:, :, :, 2] * self.mlp(modulated(2))


class VideoDiT(Network):
    """Latent frames [B, C, K, h, w] at positions tau, with a condition a frame -> [B, C, K, h, w].

    end_channels: of the two known ends that it attends to; 0: it has none, and is told of given frames by the
    condition alone. text_channels: of the embedded text that it attends to; 0: it reads none.
    The output is the raw network F of the preconditioning; a family turns it into an estimate of x0.
    """

    _supports_gradient_checkpointing = True
    FRAME_AXES: ClassVar = {"x": 2, "condition": 2, "tau": 1}  # arguments that have frames, and on which axis

    @configured
    def __init__(
        self,
        latent_channels: int = 12,
        condition_channels: int = 128,
        end_channels: int = 128,
        dim: int = 192,
        depth: int = 6,
        heads: int = 6,
        mlp_ratio: int = 4,
        dropout: float = 0.0,
        text_channels: int = 0,
    ):
        super().__init__()
        self.gradient_checkpointing = False
        self.embed = nn.Linear(latent_channels + condition_channels, dim)
        if end_channels:
            self.embed_end = nn.Linear(end_channels, dim)
            self.null_end = nn.Parameter(torch.randn(2, dim) * 0.02)
        self.embed_text = nn.Linear(text_channels, dim) if text_channels else None
        self.embed_noise = nn.Sequential(nn.Linear(64, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.embed_tau = nn.Sequential(nn.Linear(64, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 9 * dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio, dropout, text_channels > 0) for _ in range(depth))
        self.final = nn.Linear(dim, latent_channels)
        self.final_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))
        for silent in (self.final, self.final_modulation[-1], self.modulation[-1]):
            nn.init.zeros_(silent.weight)
            nn.init.zeros_(silent.bias)

    def forward(
        self,
        x: Tensor,
        angle: Tensor,
        condition: Tensor,
        ends: Tensor | None = None,
        tau: Tensor | None = None,
        present: Tensor | None = None,
        text: Tensor | None = None,
    ) -> Tensor:
        """x [B, C, K, h, w]; angle [B] in [0, pi/2]; condition [B, Cc, K, h, w]; ends [B, Ce, 2, h, w]; tau [B, K];
        present [B, 2], 0 for an end that is absent (a learned token stands in for it); text [B, L, Ct]."""
        height, width = x.shape[-2:]
        tokens = self.embed(rearrange(torch.cat((x, condition.to(x.dtype)), dim=1), "b c t h w -> b t (h w) c"))
        known = None if ends is None else self.known(ends, present).to(tokens.dtype)
        said = None if text is None or self.embed_text is None else self.embed_text(text.to(x.dtype))
        when = self.embed_tau(self.waves(tau))
        tokens = tokens + when[:, :, None]
        level = repeat(self.embed_noise(self.waves(angle)), "b d -> b t d", t=tau.shape[1]) + when
        modulation = self.modulation(level).unflatten(-1, (9, -1))
        tables = rotary_tables(height, width, tokens.shape[-1] // self.config.heads, x.device)
        for block in self.blocks:
            seen = (tokens, known, modulation, tables, said)
            again = self.gradient_checkpointing and torch.is_grad_enabled()
            tokens = self._gradient_checkpointing_func(block, *seen) if again else block(*seen)
        shift, scale = self.final_modulation(level)[:, :, None].chunk(2, dim=-1)
        tokens = F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale) + shift
        return rearrange(self.final(tokens), "b t (h w) c -> b c t h w", h=height)

    def known(self, ends: Tensor, present: Tensor) -> Tensor:
        """Tokens of the two ends, [B, 2, N, D]."""
        there = present[:, :, None, None].to(self.embed.weight.dtype)
        tokens = self.embed_end(rearrange(ends, "b c t h w -> b t (h w) c").to(self.embed.weight.dtype))
        tokens = there * tokens + (1 - there) * self.null_end[:, None]
        edges = torch.tensor([[0.0, 1.0]], device=ends.device).expand(len(ends), -1)
        return tokens + self.embed_tau(self.waves(edges))[:, :, None]

    def waves(self, position: Tensor) -> Tensor:
        """tau or angle as the embeddings' input, in the precision of the weights."""
        return sinusoid(position, 64, longest=4.0).to(self.embed.weight.dtype)
