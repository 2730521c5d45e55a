"""What was judged while tuning: one line of JSON each in RUN/history.jsonl, whole at any moment."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vidcm.core.aside import write_aside
from vidcm.evaluation.score import Scores

START = "start"
Judgement = dict[str, Scores]  # by set


@dataclass(frozen=True)
class Mark:
    """part: START, or the part being tuned; step: of that part; headline: what decides, higher is better; scores: by
    set."""

    part: str
    step: int
    headline: float
    scores: Judgement


class History:
    """The marks of a run, in order."""

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.marks = [Mark(**json.loads(line)) for line in lines]

    def find(self, part: str, step: int) -> Mark | None:
        return next((mark for mark in self.marks if (mark.part, mark.step) == (part, step)), None)

    def forget_after(self, part: str, step: int) -> None:
        """A run that continues from an earlier checkpoint will come to the later ones again."""
        kept = [mark for mark in self.marks if mark.part != part or mark.step <= step]
        if len(kept) < len(self.marks):
            self._replace(kept)

    def add(self, mark: Mark) -> None:
        self._replace([*self.marks, mark])

    def idle(self, part: str) -> int:
        """How many of the last judgements of a part brought no gain over all before them."""
        last_gain, best = 0, float("-inf")
        for number, mark in enumerate(self.marks, 1):
            if mark.headline > best:
                last_gain, best = number, mark.headline
        return min(len(self.marks) - last_gain, sum(mark.part == part for mark in self.marks))

    def _replace(self, marks: list[Mark]) -> None:
        write_aside(self._path, "".join(json.dumps(asdict(mark)) + "\n" for mark in marks))
        self.marks = marks
