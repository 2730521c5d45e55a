"""What the VAE loses of a given picture, given back to the frames made near it.

    detail = given - made                      of a given frame
    made_t + share_t * similar_t * detail      of every other one

similar is 1 where a made frame shows what the made picture in the given one's place shows, and falls with the squared
difference; share goes from one given frame to the next linearly in time. So what stands still is as sharp as the
picture that was given, and what moves is left alone.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 0.1  # root-mean-square difference of the colours, of 1, at which about a third of the detail is left


def give_back(frames: Tensor, given: Mapping[int, Tensor]) -> Tensor:
    """frames [B, 3, T, H, W] in 0..1; given: place -> frame [B, 3, H, W], which the result has exactly there."""
    if not given:
        return frames
    places = sorted(given)
    shares = hats(frames.shape[2], places).to(frames.device)
    made = frames.clone()
    for place, share in zip(places, shares, strict=True):
        detail = (given[place] - frames[:, :, place])[:, :, None]
        made += share[:, None, None] * similar(frames, frames[:, :, place : place + 1]) * detail
    made = made.clamp(0, 1)
    for place in places:
        made[:, :, place] = given[place]
    return made


def similar(frames: Tensor, to: Tensor) -> Tensor:
    """[B, 1, T, H, W] in 0..1, averaged over 3 x 3 pixels."""
    apart = (frames - to).square().mean(1, keepdim=True)
    near = F.avg_pool3d(apart, (1, 3, 3), stride=1, padding=(0, 1, 1), count_include_pad=False)
    return (-near / TOLERANCE**2).exp()


def hats(count: int, places: list[int]) -> Tensor:
    """[places, count]: at each of `count` instants the shares of the places on both sides, which sum to one."""
    at = torch.arange(count, dtype=torch.float32).clamp(places[0], places[-1])
    shares = torch.zeros(len(places), count)
    shares[0] = 1.0 if len(places) == 1 else 0.0
    for i, (before, after) in enumerate(pairwise(places)):
        inside = (at >= before) & (at <= after)
        way = (at - before) / (after - before)
        shares[i] = torch.where(inside, 1 - way, shares[i])
        shares[i + 1] = torch.where(inside, way, shares[i + 1])
    return shares
