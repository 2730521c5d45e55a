"""Rendered frames straight to the output: what is piped away cannot be gone on with, so no segment is put by."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from vidcm.interpolation.assembly import Assembly
from vidcm.interpolation.journal import Journal
from vidcm.media.pipes import PIPE


class Piped(Assembly):
    """An `Assembly` that joins nothing: each frame is written as soon as it is known how long it is shown."""

    def _encode_waiting(self, until: Fraction) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            planned = waiting.planned
            self._writer.write(self._put(planned, waiting.shown), planned.instant, until - planned.instant)

    def _close(self) -> None:
        notes, self._notes = self._notes, self._new_notes()
        if self._ledger is not None:
            self._ledger.take(notes)


@contextmanager
def no_journal() -> Iterator[Journal]:
    """One in which nothing is done before, and nothing is put."""
    yield Journal(PIPE, None)
