"""What an evaluation of a generator is made of. Imports no torch, so that the help answers at once."""

from dataclasses import dataclass

from vidcm.core.devices import DEVICES
from vidcm.core.errors import WrongUse
from vidcm.core.size import pixels_of

GIVEN = ("none", "first", "ends")  # frames of the held-out clip that the model is told
FEWEST = 5  # frames of a clip that can be judged
LEAST = 16  # clips: halves must have more points than neighbours are counted


@dataclass(frozen=True)
class GenerationConfig:
    """Settings of `vidcm evaluate generation`. None: what is usual for the model, or what it can."""

    model: str | None = None  # a model directory; None: the shipped clip model
    split: str = "val"
    clips: int = 64
    given: tuple[str, ...] = GIVEN
    num_frames: int | None = None
    size: str | None = None  # width x height
    prompt: str = ""  # for clips without a caption
    steps: int | None = None
    sampler: str | None = None
    seed: int = 0
    batch: int = 1  # clips made at once
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.split not in ("val", "train"):
            raise WrongUse(f"split must be val or train, got {self.split!r}")
        if self.clips < LEAST:
            raise WrongUse(f"clips must be at least {LEAST} to be halved and compared, got {self.clips}")
        if self.batch < 1:
            raise WrongUse(f"batch must be at least 1, got {self.batch}")
        for name in self.given:
            if name not in GIVEN:
                raise WrongUse(f"given must be of {', '.join(GIVEN)}, got {name!r}")
        if not self.given:
            raise WrongUse(f"given must name at least one of {', '.join(GIVEN)}")
        pixels_of(self.size)
        if self.device not in DEVICES:
            raise WrongUse(f"device must be one of {', '.join(DEVICES)}, got {self.device!r}")

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width."""
        return pixels_of(self.size)
