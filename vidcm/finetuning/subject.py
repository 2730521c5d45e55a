"""What a run tunes, as far as the run has to know: how it is trained, how it is judged, how that is told."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from vidcm.core.processes import Processes
from vidcm.data.clips import ClipCache
from vidcm.finetuning.best import copy_model
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.history import Judgement, Mark
from vidcm.training.config import RunConfig

Tell = Callable[[str], None]


class Subject(ABC):
    """One kind of model. start: the directory that is tuned; parts: what of it, one after another; config: with the
    parts named."""

    KEY: ClassVar[str]  # of the scores: the one that the curve shows
    CURVE: ClassVar[str]  # what it is
    LEGEND: ClassVar[str]  # what the sets and the scores are, for the report
    HEADINGS: ClassVar[dict[str, str]]  # of the scores
    DECIMALS: ClassVar[dict[str, int]]

    parts: tuple[str, ...]
    chosen: frozenset[str] = frozenset()  # those of them that are chosen on training clips rather than trained
    windows: int  # what a judgement looks at
    aims: tuple[str, ...] = ()  # the names of the sets that decide

    def __init__(self, config: FinetuneConfig, cache: ClipCache, start: Path):
        self.config, self.cache, self.start = config, cache, start

    @property
    def looked_at(self) -> str:
        """What a judgement looks at, in words."""
        return f"{self.windows} windows of validation clips"

    @abstractmethod
    def run_config(self, part: str, start: str, out: str, steps: int, processes: Processes) -> RunConfig:
        """The training of a part. Raises UserError for settings or data that will not do."""

    @property
    def trained(self) -> tuple[str, ...]:
        return tuple(part for part in self.parts if part not in self.chosen)

    @property
    def choosing(self) -> float:
        """What choosing takes, in judgements, at most."""
        return 0.0

    @property
    @abstractmethod
    def concluding(self) -> float:
        """What the comparison and the samples at the end take, in judgements."""

    def choose(self, part: str, windows: int, start: Path, out: Path, tell: Tell) -> None:
        """The model directory `start` with a part of `chosen` as suits so many windows of the training clips best, in
        `out`."""
        raise NotImplementedError(part)

    @abstractmethod
    def judge(self, model: Path, tell: Tell) -> Judgement:
        """On the validation clips: what decides."""

    @abstractmethod
    def compare(self, model: Path, tell: Tell) -> Judgement:
        """On what shows how much was forgotten."""

    @abstractmethod
    def headline(self, judgement: Judgement) -> float:
        """What decides which model is the best: higher is better."""

    def begin(self, best: Path, mark: Mark) -> None:
        """The model as it is becomes the best one."""
        copy_model(self.start, best, mark)

    def start_of(self, folder: Path, best: Path) -> Path:
        """The directory that a part begins from, in the folder of its training: the best model so far, copied once."""
        start = folder / "start"
        if not start.is_dir():
            copy_model(best, start)
        return start

    # In words -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def say(self, mark: Mark) -> str:
        """A headline, with its unit."""

    @abstractmethod
    def verdict(self, before: Mark, after: Mark) -> str:
        """What came of it, in a sentence or two of Markdown."""

    @abstractmethod
    def forgetting(self, before: Mark, after: Mark) -> list[str]:
        """What was gained or lost beside the aim, a line for each set."""

    def notes(self, best: Path) -> list[str]:
        """What else there is to tell of the result, a line each."""
        return []

    @abstractmethod
    def sheet(self, before: Path, after: Path) -> np.ndarray:
        """Pictures of both models beside the truth, uint8 RGB [H, W, 3]."""

    @abstractmethod
    def use(self, best: Path) -> str:
        """The command that uses the result."""

    def facts(self, before: Mark, after: Mark) -> dict[str, float]:
        """The result in numbers, for scripts, beside the scores."""
        return {"gain": after.headline - before.headline}
