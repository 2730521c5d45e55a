"""What training batches are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vidcm.core.errors import UserError


@dataclass(frozen=True)
class DataConfig:
    """The defaults are what the shipped model is trained on. Shares and chances are between 0 and 1."""

    cache: str = ".cache/clips"
    footage: str | None = None  # folder of videos that the cache is made of, and refreshed from; None: take it as it is
    short_side: int | None = None  # of cached frames; None: as large as they are
    workers: int = 1  # processes that make batches ahead of need
    seed: int = 0
    batch_size: int = 16  # of one rank
    crop: tuple[int, int] = (128, 128)  # height, width; multiples of 32
    between: dict[int, float] = field(default_factory=lambda: {1: 0.6, 3: 0.4})  # frames -> share of steps
    gaps: dict[int, float] = field(  # distance of the ends in source frames -> weight
        default_factory=lambda: {2: 1.0, 3: 0.7, 4: 0.6, 5: 0.35, 6: 0.3, 7: 0.2, 8: 0.2}
    )
    whole: bool = False  # clips for generators: `between` frames and two ends at an even pace, no motion measured
    rate: float | None = None  # of them: about so many frames a second, by leaving out; None: the footage's own
    synthetic: float = 0.15  # share of rendered scenes
    reach: float = 0.16  # longest translation in them, as a share of the width
    native: float = 0.3  # share of crops at the cached size; the others shrink to a scale drawn from `scale`
    scale: tuple[float, float] = (0.6, 1.0)
    moving: float = 0.7  # chance that of two candidate crops the one that moves more is taken
    reverse: float = 0.5  # chance of running backwards
    flip: float = 0.5  # chance of a mirror image, for each axis
    quarter_turn: float = 0.25
    photometric: float = 0.2  # strength of brightness, contrast and gamma; 0: off
    swap_channels: float = 0.1
    absent: float = 0.12  # chance that an end is missing: half the time the first, half the last
    alone: float = 0.15  # chance that the frame beyond an end is kept back, for each end
    shake: float = 0.0  # share of crops out of clips in which the camera shakes besides
    flash: float = 0.0  # share of samples with both ends in which a flash lights an end, or the frame beyond it
    cut: float = 0.0  # share of them in which an end, or the frame beyond it, is of another shot

    def __post_init__(self) -> None:
        for name, plain in {"crop": tuple, "scale": tuple, "between": _shares, "gaps": _shares}.items():
            object.__setattr__(self, name, plain(getattr(self, name)))
        if any(side % 32 or side <= 0 for side in self.crop):
            raise UserError(f"data.crop must be multiples of 32, got {list(self.crop)}")
        if self.whole and len(self.between) != 1:
            raise UserError(f"data.whole takes clips of one length, data.between gives {len(self.between)}: name one")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise UserError(f"data.rate must be a number above 0, or null for the footage's own, got {self.rate}")
        if not self.whole and (min(self.between) < 1 or max(self.between) > max(self.gaps) - 1):
            raise UserError(
                f"data.between asks for {max(self.between)} frames in between, but the largest of data.gaps is "
                f"{max(self.gaps)}: it must be at least one more"
            )

    def plain(self) -> "DataConfig":
        """The same data as it is: no augmentation, no rendered scenes, both ends there."""
        off = ("synthetic", "reverse", "flip", "quarter_turn", "photometric", "swap_channels", "absent", "alone")
        off += ("shake", "flash", "cut")
        return replace(self, native=1.0, **dict.fromkeys(off, 0.0))


def _shares(weights: Mapping[int | str, float]) -> dict[int, float]:
    """Whole numbers, in order, and their weights; YAML may give either as text."""
    try:
        return {number: float(weights[key]) for number, key in sorted((int(key), key) for key in weights)}
    except ValueError as error:
        raise UserError(
            f"expected a mapping from whole numbers to weights, such as {{1: 0.6, 3: 0.4}}: {error}"
        ) from None


def distribution(weights: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers and their chances, which sum to one."""
    chances = np.array(list(weights.values()))
    return np.array(list(weights)), chances / chances.sum()
