"""What a report advises, by where the best model was found."""

from pathlib import Path

import pytest

from vidcm.finetuning.account import best, further
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.history import START, Mark
from vidcm.finetuning.settings import Settings

RUN = Path("run")
MARKS = [
    Mark(START, 0, 1.0, {}),
    Mark("settings", 0, 1.1, {}),
    Mark("pictures", 5, 1.2, {}),
    Mark("pictures", 9, 1.3, {}),
]
ADVICE = {
    0: ("is the model as it was", "more footage of this kind, or more time"),
    1: ("is the model of the part settings", "it gained nothing after that"),
    2: ("is the model of step 5 of the part pictures", "it gained nothing after that"),
    3: ("is the model of step 9 of the part pictures", "`vidcm finetune set -o run --resume --minutes 10` goes on"),
}


@pytest.mark.parametrize("place", ADVICE)
def test_the_best_is_named_and_what_to_do_next(place):
    told, advised = ADVICE[place]
    settings = Settings(FinetuneConfig(minutes=5.0), "set", "digest")
    assert told in best(RUN, MARKS[place])
    assert advised in further(RUN, settings, MARKS, MARKS[place])


def test_steps_that_were_asked_for_are_doubled():
    settings = Settings(FinetuneConfig(steps=300), "set", "digest")
    assert "--resume --steps 600`" in further(RUN, settings, MARKS, MARKS[-1])
