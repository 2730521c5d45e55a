"""What a call of VideoGenerationPipeline is given, judged and brought into one form."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcm.core.errors import UserError, WrongUse
from vidcm.families.video import VideoFamily


def two_scales(family: VideoFamily, first: float | None, second: float | None, usual: float) -> tuple[float, float]:
    """Of guidance, for the noisier part of the way and for the rest."""
    if second is not None and family.boundary is None:
        raise WrongUse(
            f"guidance_scale_2 is for a model of two networks, and this one has one: got {second}, leave it out"
        )
    scale = usual if first is None else first
    return scale, scale if second is None else second


def as_frames(given: Any, device: torch.device) -> Tensor | None:
    """Images as float32 [B, 3, H, W] in 0..1. Raises UserError for what is none."""
    if given is None:
        return None
    if not isinstance(given, Tensor):
        listed = given if isinstance(given, list) else [given]
        arrays = [np.asarray(one.convert("RGB") if hasattr(one, "convert") else one) for one in listed]
        given = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    if given.dtype == torch.uint8:
        given = given.float() / 255
    if given.ndim != 4 or given.shape[1] != 3 or not given.is_floating_point() or given.min() < 0 or given.max() > 1:
        raise UserError(f"images must be RGB, [B, 3, H, W] in 0..1 or PIL, got {list(given.shape)} {given.dtype}")
    return given.to(device, torch.float32)


def clip_shape(
    family: VideoFamily, given: Mapping[str, Tensor], num_frames: int | None, height: int | None, width: int | None
) -> tuple[int, int, int]:
    """num_frames, height, width, which the model can take and the given frames have."""
    usual = family.usual_clip
    seen = next((tuple(frame.shape[-2:]) for frame in given.values()), usual[1:])
    shape = (usual[0] if num_frames is None else num_frames, height or seen[0], width or seen[1])
    family.grid.check(*shape)
    for name, frame in given.items():
        if tuple(frame.shape[-2:]) != shape[1:]:
            raise UserError(
                f"{name} is {frame.shape[-1]}x{frame.shape[-2]} and the clip {shape[2]}x{shape[1]}: "
                "crop or pad the image to the clip's size"
            )
    return shape


def placed(given: Mapping[str, Tensor], num_frames: int) -> dict[int, Tensor]:
    """Frames by their place in the clip."""
    ends = {"image": 0, "last_image": num_frames - 1}
    found: dict[int, Tensor] = {}
    for name, frame in given.items():
        place = ends[name] if name in ends else int(name.removeprefix("frame "))
        if not 0 <= place < num_frames:
            raise WrongUse(f"frames: the clip has places 0 to {num_frames - 1}, got one for {place}")
        if place in found:
            raise WrongUse(f"two images are given for place {place} of the clip: leave one out")
        found[place] = frame
    return found


def batched(prompt: Any, negative: Any, given: Mapping[str, Tensor]) -> tuple[list[str], list[str] | None, int]:
    """Prompts and negative prompts, one for each clip, and how many clips."""
    told = [prompt] if isinstance(prompt, str) else list(prompt or [""])
    away = None if negative is None else [negative] if isinstance(negative, str) else list(negative)
    counts = {"prompts": len(told), "negative prompts": len(away or [""])}
    counts |= {"images" if name == "image" else f"{name.replace('_', ' ')}s": len(x) for name, x in given.items()}
    batch = max(counts.values())
    for name, count in counts.items():
        if count not in (1, batch):
            raise UserError(f"{count} {name} for {batch} clips: give one for all, or one for each")
    return told * (batch // len(told)), away and away * (batch // len(away)), batch


def spread(frame: Tensor, batch: int) -> Tensor:
    return frame if len(frame) == batch else frame.expand(batch, -1, -1, -1)
