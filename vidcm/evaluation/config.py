"""What an evaluation run is made of. Defaults live here; configs/eval/*.yaml and the command line override them."""

from dataclasses import dataclass

from vidcm.core.devices import DEVICES
from vidcm.core.errors import WrongUse


@dataclass(frozen=True)
class EvaluationConfig:
    """Settings of `vidcm evaluate interpolation`. Imports no torch, so that the help answers at once."""

    split: str | None = None  # of a folder's manifest.csv; None: every clip
    size: str = "448x256"  # width x height that clips are brought to
    native: bool = False  # clips smaller than that are left out, instead of scaled up
    factor: int = 2  # every factor-th frame is kept, those between are rebuilt
    methods: tuple[str, ...] = ("hold", "crossfade", "dis", "vidcm")
    model: str | None = None  # a model directory; None: the shipped one
    device: str = "auto"  # that the model runs on; times are CPU times whatever it is
    steps: int = 2  # 0: the draft
    seed: int = 0
    temperature: float | None = None  # None: what is stored with the weights
    max_pairs: int = 12  # pairs of kept frames per clip, spread evenly over it; 0: all
    ladder: bool = False  # the ladder of latents, slow
    ladder_pairs: int = 1  # per clip
    ladder_seeds: int = 4  # samples for the energy score
    teacher_steps: int = 64

    def __post_init__(self) -> None:
        minima = {"factor": 2, "steps": 0, "max_pairs": 0, "ladder_pairs": 1, "ladder_seeds": 2, "teacher_steps": 1}
        for name, least in minima.items():
            if getattr(self, name) < least:
                raise WrongUse(f"{name.replace('_', '-')} must be at least {least}, got {getattr(self, name)}")
        if not self.methods:
            raise WrongUse("methods must name at least one method, such as crossfade,dis")
        if self.device not in DEVICES:
            raise WrongUse(f"device must be one of {', '.join(DEVICES)}, got {self.device!r}")
        if min(self.width_height) < 32:
            raise WrongUse(f"size must be at least 32x32, got {self.size}")

    @property
    def width_height(self) -> tuple[int, int]:
        """`size` as numbers."""
        width, _, height = self.size.lower().partition("x")
        try:
            return int(width), int(height)
        except ValueError:
            raise WrongUse(f"size must be WIDTHxHEIGHT such as 448x256, got {self.size!r}") from None
