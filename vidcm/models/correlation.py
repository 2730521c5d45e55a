"""How alike two frames' features are over a neighbourhood, by matrix products of tiles."""

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8  # cells along a side: wider tiles compare more that is not asked for, narrower ones are read more often


def correlation(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Cosine similarity of a[y, x] with b[y+dy, x+dx] for |dy|, |dx| <= radius: [B, (2 radius + 1)^2, h, w], zero
    beyond the border. a, b: [B, C, h, w]."""
    (height, width), reach, wide = a.shape[-2:], 2 * radius + 1, TILE + 2 * radius
    right, below = -width % TILE, -height % TILE
    a, b = (F.normalize(x.float(), dim=1).to(x.dtype) for x in (a, b))
    a, b = F.pad(a, (0, right, 0, below)), F.pad(b, (radius, radius + right, radius, radius + below))
    tiles, around = (x.permute(0, 2, 3, 1).unfold(1, n, TILE).unfold(2, n, TILE) for x, n in ((a, TILE), (b, wide)))
    batch, rows, columns, channels = tiles.shape[:4]
    tiles = tiles.permute(0, 1, 2, 4, 5, 3).reshape(-1, TILE * TILE, channels)
    all_pairs = torch.bmm(tiles, around.reshape(-1, channels, wide * wide))
    tile, y, x, (dy, dx) = wide**2 * TILE**2, wide**2 * TILE, wide**2, (wide, 1)
    size, stride = (len(all_pairs), TILE, TILE, reach, reach), (tile, y + dy, x + dx, dy, dx)
    near = all_pairs.as_strided(size, stride).reshape(batch, rows, columns, TILE, TILE, reach * reach)
    near = near.transpose(2, 3).reshape(batch, rows * TILE, columns * TILE, reach * reach)
    return near[:, :height, :width].permute(0, 3, 1, 2)
