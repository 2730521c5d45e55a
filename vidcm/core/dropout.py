"""The same dropout mask twice: consistency targets must differ from the student by the noise level only."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

Again = Callable[[], AbstractContextManager[None]]


@contextmanager
def shared_dropout() -> Iterator[Again]:
    """`with shared_dropout() as again: student(); with again(): target()`: both draw from the same default generators.

    Afterwards the generators stand where the student left them, whatever the target drew.
    """
    before = _states()

    @contextmanager
    def again() -> Iterator[None]:
        after = _states()
        _restore(before)
        try:
            yield
        finally:
            _restore(after)

    yield again


def _states() -> dict[str, Any]:
    states: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def _restore(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
    if "mps" in states:
        torch.mps.set_rng_state(states["mps"])
