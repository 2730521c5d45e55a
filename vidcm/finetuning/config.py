"""What a fine-tuning run is made of. Imports no torch, so that mistakes are told at once."""

from dataclasses import dataclass

from vidcm.core.devices import DEVICES
from vidcm.core.errors import UserError

PARTS = ("pictures", "motion")


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of `vidcm finetune`. None: what suits the machine and the footage (vidcm/finetuning/recipe.py)."""

    model: str | None = None  # a model directory; None: the shipped one
    parts: tuple[str, ...] = ("pictures",)  # tuned one after another, in the order of PARTS
    objective: str = "ect"  # of the part `motion`: a name of `vidcm objectives`
    steps: int = 300  # of all parts together
    minutes: float | None = None  # instead of steps: as many as take so long here, timed once
    evaluations: int = 6  # per part, on the validation clips, evenly over its steps
    patience: int = 3  # evaluations in a row without a gain after which a part ends
    windows: int = 12  # of the validation clips at 2x, and half as many at 4x
    reference: tuple[str, ...] = ()  # videos, folders or datasets that the model must not get worse on
    learning_rate: float | None = None
    batch_size: int | None = None  # of one process
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"  # auto, bf16, fp32

    def __post_init__(self) -> None:
        for name in ("steps", "evaluations", "patience", "windows", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name.replace('_', '-')} must be at least 1, got {value}")
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"{name.replace('_', '-')} must be a number above 0, got {value}")
        for name, known in (("device", DEVICES), ("precision", ("auto", "bf16", "fp32"))):
            if getattr(self, name) not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            raise UserError(f"parts must be some of {', '.join(PARTS)}, got {', '.join(self.parts) or 'none'}")
        object.__setattr__(self, "parts", tuple(part for part in PARTS if part in self.parts))
