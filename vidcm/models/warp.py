"""Warping images and features along a flow.

Flows are [B, 2, H, W] (x, y) in pixels of their own grid; see vidcm.media.motion for the sign.
"""

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

PLANES = 4  # that OpenCV looks up together
MANY = 16  # channels from which on rows of a table are read faster than planes


def pixel_grid(like: Tensor) -> Tensor:
    """Coordinates (x, y) of every cell of `like` [..., H, W]: float32 [1, 2, H, W]."""
    height, width = like.shape[-2:]
    y = torch.arange(height, dtype=torch.float32, device=like.device)
    x = torch.arange(width, dtype=torch.float32, device=like.device)
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))[None]


def warp(image: Tensor, flow: Tensor, mode: str = "bilinear", top: int = 0) -> Tensor:
    """Look `image` [B, C, H, W] up at every pixel displaced by `flow` [B, 2, H, W]; the border repeats outside.

    mode: "bilinear", or "bicubic" (16 neighbours, can overshoot), which keeps detail at half pixels.
    top: the row of the image that the flow's first row is, where the flow is a strip of fewer rows.
    Sampling positions are float32 whatever the precision of the image: bf16 cannot tell neighbouring pixels at 1080p.
    """
    if mode == "bicubic" and image.device.type == "mps":  # which has bilinear alone
        return warp(image.cpu(), flow.cpu(), mode, top).to(image.device)
    if is_for_a_cpu(image, flow) and (mode == "bicubic" or image.shape[1] >= MANY):
        return remapped(image, flow, top) if mode == "bicubic" else gathered(image, flow, top)
    edge = torch.tensor([image.shape[-1] - 1, image.shape[-2] - 1], dtype=torch.float32, device=flow.device)
    edge, start = edge.view(1, 2, 1, 1), torch.tensor([0.0, top], device=flow.device).view(1, 2, 1, 1)
    position = (pixel_grid(flow) + start + flow.float()).clamp(min=0).minimum(edge)
    grid = (position * (2 / edge.clamp(min=1)) - 1).permute(0, 2, 3, 1)
    beyond = "border" if mode == "bicubic" else "zeros"  # MPS lacks "border"; clamped, two neighbours need none
    sampled = F.grid_sample(image.float(), grid, mode=mode, padding_mode=beyond, align_corners=True)
    return sampled.to(image.dtype)


def is_for_a_cpu(image: Tensor, flow: Tensor) -> bool:
    """Whether `remapped` and `gathered` can serve: they would hide a flow that is not a number, or fall over it."""
    fits = max(*image.shape[-2:], *flow.shape[-2:]) < 2**15 - 1  # OpenCV's own limit
    return is_fast(image) and fits and bool(flow.sum().isfinite())


def is_fast(x: Tensor) -> bool:
    """Whether ways that a CPU has may be taken, which have no gradient and round otherwise, and which no compiler can
    look into. Training takes one way for all, also where nothing learns: a step is the same however it is divided."""
    if torch.compiler.is_compiling():
        return False  # first of all: to ask for the mode cannot be compiled either
    return torch.is_inference_mode_enabled() and x.device.type == "cpu"


def remapped(image: Tensor, flow: Tensor, top: int = 0) -> Tensor:
    """`warp` in "bicubic" by OpenCV, whose kernel is PyTorch's (a = -0.75), in a third of the time; OpenCV 4 rounds
    positions to 1/32 pixel. What is laid out with channels last stays so, which is faster."""
    (height, width), (rows, columns) = image.shape[-2:], flow.shape[-2:]
    x = (flow[:, 0].float() + torch.arange(columns, dtype=torch.float32)).clamp_(0, width - 1)
    y = (flow[:, 1].float() + torch.arange(top, top + rows, dtype=torch.float32)[:, None]).clamp_(0, height - 1)
    is_last = image.shape[1] <= PLANES and image.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if is_last else torch.contiguous_format
    made = torch.empty((*image.shape[:2], rows, columns), memory_format=order)
    pictures, places = image.float().contiguous(memory_format=order), made
    if is_last:
        pictures, places = (each.permute(0, 2, 3, 1)[:, None] for each in (pictures, places))
    for picture, place, along, down in zip(pictures, places, x.numpy(), y.numpy(), strict=True):
        for source, target in zip(picture.numpy(), place.numpy(), strict=True):
            cv2.remap(source, along, down, cv2.INTER_CUBIC, dst=target, borderMode=cv2.BORDER_REPLICATE)
    return made.to(image.dtype)


def gathered(image: Tensor, flow: Tensor, top: int = 0) -> Tensor:
    """`warp` in "bilinear" of many channels, in a third of the time: four rows of a table for each pixel, weighted.
    Channels last."""
    (height, width), (rows, columns) = image.shape[-2:], flow.shape[-2:]
    x = (flow[:, 0].float() + torch.arange(columns, dtype=torch.float32)).clamp_(0, width - 1)
    y = (flow[:, 1].float() + torch.arange(top, top + rows, dtype=torch.float32)[:, None]).clamp_(0, height - 1)
    left, above = x.int(), y.int()
    x, y = x.sub_(left), y.sub_(above)
    shares = torch.stack([part * share for part in (1 - y, y) for share in (1 - x, x)], dim=-1)
    right, below = (left + 1).clamp_(max=width - 1), (above + 1).clamp_(max=height - 1)
    opening = torch.arange(0, len(flow) * height, height, dtype=torch.int32).view(-1, 1, 1)  # line of each picture
    lines = [line.add_(opening).mul_(width) for line in (above, below)]
    places = torch.stack([line + place for line in lines for place in (left, right)], dim=-1)
    table = image.float().permute(0, 2, 3, 1).reshape(-1, image.shape[1])
    made = F.embedding_bag(places.view(-1, 4), table, per_sample_weights=shares.view(-1, 4), mode="sum")
    return made.view(*flow.shape[::2], columns, -1).permute(0, 3, 1, 2).to(image.dtype)


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear; plane by plane by OpenCV in inference mode, in a third of the time."""
    if not is_fast(x) or x.dtype != torch.float32 or is_interleaved(x):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    made = x.new_empty(*x.shape[:2], *size)
    for source, target in zip(x.flatten(0, 1).numpy(), made.flatten(0, 1).numpy(), strict=True):
        cv2.resize(source, size[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return made


def is_interleaved(x: Tensor) -> bool:
    """Whether the channels of [N, C, H, W] lie next to each other."""
    return x.stride(1) == 1 < x.shape[1]


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a flow to another grid of the same picture; displacements are rescaled with it."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    scale = torch.tensor([size[1] / width, size[0] / height], dtype=flow.dtype, device=flow.device).view(1, 2, 1, 1)
    return enlarged(flow * scale, size)
