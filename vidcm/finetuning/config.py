"""What a fine-tuning run is made of. Imports no torch, so that mistakes are told at once."""

from dataclasses import dataclass

from vidcm.core.devices import DEVICES
from vidcm.core.errors import WrongUse
from vidcm.core.size import pixels_of
from vidcm.training.trackers import check_trackers

PARTS = ("settings", "pictures", "motion")
USUAL = PARTS[:2]


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of `vidcm finetune`. None: what suits the machine and the footage (vidcm/finetuning/recipe.py)."""

    model: str | None = None  # a model directory; None: the shipped one
    parts: tuple[str, ...] = ()  # of a motion model, in the order of PARTS; none: USUAL
    objective: str = "ect"  # of the part `motion`, or of a generator: a name of `vidcm objectives`
    lora: int | None = None  # of a generator: rank of an adapter; None: all weights of its network
    num_frames: int | None = None  # of a generator's clips; None: what the footage has, at most the model's usual
    size: str | None = None  # of them, WxH; None: the footage's, at most as many pixels as usual
    prompt: str = ""  # of a generator: what clips without a caption show
    steps: int = 300  # of all parts together
    minutes: float | None = None  # instead of steps: what fits in so long here, all included; timed once
    evaluations: int = 6  # per part, on the validation clips, evenly over its steps
    patience: int = 3  # evaluations in a row without a gain after which a part ends
    windows: int = 12  # of the validation clips: at 2x, and half as many at 4x; or clips made like them
    reference: tuple[str, ...] = ()  # videos, folders or datasets that the model must not get worse on
    learning_rate: float | None = None
    batch_size: int | None = None  # of one process
    accumulate: int | None = None  # batches a step
    shard: bool = False  # weights, gradients, moments and averages in shards, one in each process
    context: int = 1  # processes in a row that divide the frames of each clip
    track: tuple[str, ...] = ()  # names of trackers, beside the files of a run
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"  # auto, bf16, fp32

    def __post_init__(self) -> None:
        counts = ("steps", "evaluations", "patience", "windows", "batch_size", "accumulate", "lora", "num_frames")
        for name in (*counts, "context"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise WrongUse(f"{name.replace('_', '-')} must be at least 1, got {value}")
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise WrongUse(f"{name.replace('_', '-')} must be a number above 0, got {value}")
        for name, known in (("device", DEVICES), ("precision", ("auto", "bf16", "fp32"))):
            if getattr(self, name) not in known:
                raise WrongUse(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        check_trackers(self.track)
        if isinstance(self.parts, str):
            raise WrongUse(
                f"parts must be several of {', '.join(PARTS)}, or one in a list, got the text {self.parts!r}"
            )
        if any(part not in PARTS for part in self.parts):
            raise WrongUse(f"parts must be some of {', '.join(PARTS)}, got {', '.join(self.parts)}")
        pixels_of(self.size)

    @property
    def division(self) -> str | None:
        """The name of what divides a model or a clip among processes, if anything does."""
        return "shard" if self.shard else "context" if self.context > 1 else None

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width of a generator's clips, if they are given."""
        return pixels_of(self.size)
