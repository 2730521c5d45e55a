"""How much memory making a clip took, at its peak."""

from contextlib import suppress
from pathlib import Path

import torch

from vidcm.core.memory import peak_resident

CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Start counting anew, as far as the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        with suppress(OSError):
            CLEAR.write_text("5")  # proc(5): sets the peak of the resident set to what it is now


def peak_mib(device: torch.device) -> float:
    """Since the last reset: of the accelerator where there is one, else of the process. 0 where nothing tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return (peak_resident() or 0) / 2**20
