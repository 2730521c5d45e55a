"""How much two takes of a picture differ, to a viewer: noise of the encoder is no difference."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK = 8  # pixels: over so many by so many an encoder's noise is next to nothing
HARDLY = 4.0  # grey levels: blocks that differ by less nowhere are the same to a viewer


@dataclass(frozen=True)
class Difference:
    """Of blocks of BLOCK by BLOCK pixels, in grey levels of 255. mean: over all of them; largest: where most."""

    mean: float = 0.0
    largest: float = 0.0

    @property
    def is_slight(self) -> bool:
        return self.largest < HARDLY


def difference(one: "np.ndarray", other: "np.ndarray") -> Difference:
    """one, other: uint8 RGB [H, W, 3], of one size."""
    import cv2
    import numpy as np

    height, width = (max(1, side // BLOCK) for side in one.shape[:2])
    signed = cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float32) - cv2.cvtColor(other, cv2.COLOR_RGB2GRAY)
    blocks = np.abs(cv2.resize(signed, (width, height), interpolation=cv2.INTER_AREA))
    return Difference(round(float(blocks.mean()), 3), round(float(blocks.max()), 3))


def overall(found: list[Difference]) -> Difference:
    """Of several pictures."""
    mean = sum(each.mean for each in found) / max(1, len(found))
    return Difference(round(mean, 3), max((each.largest for each in found), default=0.0))
