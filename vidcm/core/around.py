"""The frames around a pair: what came before its first and comes after its last tells how its motion is changing."""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Around:
    """before, after: frames like those of the pair, of the same shot; None where there is none.

    lead: time from `before` to the first frame, trail: from the last one to `after`, in units of that from the first
    to the last.
    """

    before: Tensor | None = None
    after: Tensor | None = None
    lead: Fraction | float = 1
    trail: Fraction | float = 1

    def batched(self, device: torch.device | str) -> "Around":
        """The frames as a batch of one, on a device."""
        before, after = (None if frame is None else frame[None].to(device) for frame in (self.before, self.after))
        return replace(self, before=before, after=after)


ALONE = Around()
