"""How much two takes of a picture differ, to a viewer: noise of the encoder is no difference."""

from collections.abc import Sequence
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


def difference(one: "np.ndarray", other: "np.ndarray", covers: "Sequence[np.ndarray]" = ()) -> Difference:
    """one, other: uint8 RGB [H, W, 3], of one size. covers: their alpha, 0..1 [H, W], where both have some: then they
    differ by what is seen of them over black or over white, in each block where it is more."""
    import cv2
    import numpy as np

    height, width = (max(1, side // BLOCK) for side in one.shape[:2])
    greys = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (one, other)]
    signed = [greys[0] - greys[1]]
    if len(covers) == 2:
        over_black = greys[0] * covers[0] - greys[1] * covers[1]
        signed = [over_black, over_black - 255 * (covers[0] - covers[1])]
    blocks = np.max(
        [np.abs(cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA)) for each in signed], axis=0
    )
    return Difference(round(float(blocks.mean()), 3), round(float(blocks.max()), 3))


def overall(found: list[Difference]) -> Difference:
    """Of several pictures."""
    mean = sum(each.mean for each in found) / max(1, len(found))
    return Difference(round(mean, 3), max((each.largest for each in found), default=0.0))
