"""One score a frame from the model's own confidence map, in a unit that means something.

The map's doubt is the difference of both source frames, brought to the instant, where neither wins. So its mean square
goes like the squared error, and tells the PSNR best of what was tried (docs/decisions/0018-confidence.md):

    expected PSNR = intercept + slope log10(mean squared doubt)      dB, with a spread that is about normal
    score         = probability that the PSNR is at least NEAR_DB = Phi((expected - NEAR_DB) / spread)

The three numbers belong to the weights. They are fitted on frames that were held back, by
`scripts/calibrate_confidence.py`, and stored beside them, in `confidence.json`.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.core.judged import NEAR_DB
from vidcm.core.shipped import shipped

FILE = "confidence.json"
LEAST = 1e-7  # of the mean squared doubt: what stands still has none


@dataclass(frozen=True)
class Calibration:
    """intercept, spread: dB; slope: dB for each tenfold doubt. The defaults are for a model nobody has calibrated."""

    intercept: float = 2.0
    slope: float = -10.0
    spread: float = 3.5

    def __post_init__(self) -> None:
        if not (self.slope < 0 < self.spread and all(map(math.isfinite, (self.intercept, self.slope, self.spread)))):
            raise ValueError(f"slope must be below 0 and spread above, got {self.slope} and {self.spread}")

    def expected_db(self, doubt: Tensor) -> Tensor:
        """Mean squared doubt -> the PSNR to expect, dB, elementwise."""
        return self.intercept + self.slope * doubt.clamp(min=LEAST).log10()

    def scores(self, confidence_KHW: Tensor) -> Tensor:
        """Confidence maps in 0..1, [K, H, W] -> scores in 0..1, [K], float32 on the CPU."""
        doubt = mean_squared_doubt(confidence_KHW).double().cpu()
        return torch.special.ndtr((self.expected_db(doubt) - NEAR_DB) / self.spread).float()

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def mean_squared_doubt(confidence_KHW: Tensor) -> Tensor:
    """Confidence maps in 0..1, [K, H, W] -> [K]."""
    return (1 - confidence_KHW.float()).square().mean(dim=(-2, -1))


def fit(doubt: Tensor, psnr: Tensor) -> Calibration:
    """Least squares. doubt: mean squared, of held-back frames [N], not all equal; psnr: true, dB [N]; N > 2."""
    x, y = doubt.double().clamp(min=LEAST).log10(), psnr.double()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    intercept = y.mean() - slope * x.mean()
    spread = ((y - intercept - slope * x).square().sum() / (len(y) - 2)).sqrt()
    return Calibration(*(round(float(each), 4) for each in (intercept, slope, spread)))


def calibration_of(model: str | Path | None = None) -> Calibration:
    """That of a model directory, None: of the shipped one; the defaults where it has none. Raises UserError for a file
    that is not one.
    """
    file = (shipped("motion") if model is None else Path(model)) / FILE
    if not file.exists():
        return Calibration()
    try:
        return Calibration(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{file} is no calibration of confidence ({error}): take another copy, or remove it") from error
