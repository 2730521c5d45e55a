"""Which device to compute on: the names a user may give, and the one they mean here. Imports torch when asked."""

from typing import TYPE_CHECKING

from vidcm.core.errors import WrongUse
from vidcm.core.processes import ALONE, Processes

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def present_device(name: str) -> str:
    """What one of DEVICES is here; "auto" is an accelerator where there is one. Raises UserError if it is missing."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    present = [device for device, is_there in there.items() if is_there]
    if name != "auto" and name not in present:
        raise WrongUse(f"device {name}: none here, only {', '.join(present)} (try auto)")
    return present[0] if name == "auto" else name


def own_device(name: str, processes: Processes = ALONE) -> "torch.device":
    """The same for one of several processes: each has an accelerator of its own."""
    import torch

    present = present_device(name)
    is_shared_out = present == "cuda" and processes.count > 1
    return torch.device(present, processes.local_rank) if is_shared_out else torch.device(present)
