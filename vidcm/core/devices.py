"""Which device to compute on: the names a user may give, and the one they mean here. Imports torch when asked."""

from vidcm.core.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def present_device(name: str) -> str:
    """What one of DEVICES is here; "auto" is an accelerator where there is one. Raises UserError if it is missing."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    present = [device for device, is_there in there.items() if is_there]
    if name != "auto" and name not in present:
        raise UserError(f"device {name}: none here, only {', '.join(present)} (try auto)")
    return present[0] if name == "auto" else name
