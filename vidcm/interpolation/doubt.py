"""What is shown instead of an in-between that its maker is not sure of."""

from collections.abc import Sequence
from dataclasses import dataclass

from vidcm.core.errors import UserError

FALLBACKS = HOLD, CROSSFADE = "hold", "crossfade"


@dataclass(frozen=True)
class Doubt:
    """least: the lowest score that is shown, 0..1; fallback: "hold" (the nearer source frame) or "crossfade"."""

    least: float
    fallback: str = HOLD

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1:
            raise UserError(f"--min-confidence must be between 0 and 1, got {self.least} (try 0.5)")
        if self.fallback not in FALLBACKS:
            raise UserError(f"--fallback must be one of {', '.join(FALLBACKS)}, got {self.fallback!r}")

    def meets(self, scores: Sequence[float | None]) -> list[bool]:
        """Which frames are shown as they are. Raises UserError where there are no scores."""
        if any(score is None for score in scores):
            raise UserError("--min-confidence needs a model that scores its frames, and this one does not")
        return [score is not None and score >= self.least for score in scores]
