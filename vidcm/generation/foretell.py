"""What a manifest takes, told before a model is loaded: its largest clip, against what the device has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vidcm.core.errors import UserError
from vidcm.core.memory import peak_resident
from vidcm.families.skeleton import skeleton
from vidcm.generation.jobs import Line
from vidcm.generation.needs import Shape, needs

UNTUNED, TUNED = 50, 2  # network steps


@dataclass(frozen=True)
class Forecast:
    """Of the largest clip: shape, steps, bytes with all parts on the device and with --low-memory, operations; `there`:
    bytes that the device has, None where that is not known; process: bytes of them that this process holds before there
    is a model, libraries most of all."""

    shape: Shape
    steps: int
    resident: int
    low_memory: int
    flops: int
    there: int | None
    process: int


def foretell(lines: Sequence[Line], model: Path, device: torch.device) -> Forecast | None:
    """None where nothing can be told: an estimate must not end a run that would have worked."""
    try:
        family = skeleton(model, torch.bfloat16 if device.type == "cuda" else torch.float32)
        frames, height, width = family.usual_clip
        shapes = {(line.job.num_frames or frames, *(line.job.pixels or (height, width))) for line in lines}
        shape = max((each for each in shapes if _fits(family, each)), key=lambda each: each[0] * each[1] * each[2])
        steps = max(line.job.steps or (TUNED if is_tuned(model) else UNTUNED) for line in lines)
        found = needs(family, shape, steps)
    except (UserError, RuntimeError, ValueError):
        return None
    process = (peak_resident() or 0) if device.type == "cpu" else 0
    return Forecast(shape, steps, found.resident, found.in_turn, found.flops, memory_of(device), process)


def is_tuned(model: Path) -> bool:
    return (model / "consistency").is_dir()


def memory_of(device: torch.device) -> int | None:
    """Bytes that the device, or for the CPU the machine, has."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _fits(family: object, shape: Shape) -> bool:
    try:
        family.grid.check(*shape)  # type: ignore[attr-defined]
    except UserError:
        return False
    return True
