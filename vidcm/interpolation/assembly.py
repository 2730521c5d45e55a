"""From rendered frames to the file: each segment is encoded, put into the journal, and joined to those before it."""

from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING

from av.packet import Packet

from vidcm.interpolation.doubt import FALLBACKS
from vidcm.interpolation.journal import Journal
from vidcm.interpolation.ledger import Entry, Ledger, Notes
from vidcm.interpolation.segments import Begin
from vidcm.media.encoding import Pictures, telling
from vidcm.media.info import VideoInfo
from vidcm.media.parts import PartWriter
from vidcm.media.sizes import Sizes
from vidcm.media.writer import VideoWriter

if TYPE_CHECKING:
    from vidcm.interpolation.plan import PlannedFrame
    from vidcm.interpolation.rendered import Rendered, Shown

Put = Callable[["PlannedFrame", "Shown"], "Shown"]


class Assembly:
    """Takes what `segments.rendered` gives, in order. A context, which closes what a failure leaves open.

    info: of the source, from the first frame that is shown on; stretch: how much longer the output lasts; ledger: is
    told of every frame; put: what becomes of a picture before it is encoded. frames_out, frames_made, frames_replaced:
    so far; sizes: of what was encoded in this run.
    """

    def __init__(
        self,
        writer: VideoWriter,
        journal: Journal,
        info: VideoInfo,
        stretch: Fraction,
        ledger: Ledger | None,
        put: Put,
    ) -> None:
        self.frames_out = self.frames_made = self.frames_replaced = self.frames_kept = 0
        self.sizes = Sizes()
        self._writer, self._journal, self._info, self._stretch = writer, journal, info, stretch
        self._ledger, self._put = ledger, put
        self._is_shared = journal.processes.count > 1
        self._begin: Begin | None = None
        self._in_gap = 0  # frames of the gap that has begun
        self._waiting: Rendered | None = None  # until it is known how long it is shown
        self._notes = self._new_notes()
        self._pictures: Pictures | None = None
        self._part: PartWriter | None = None
        self._open = ExitStack()

    @property
    def has_nothing_new(self) -> bool:
        """Whether all so far is what an earlier run left."""
        return 0 < self.frames_kept == self.frames_out

    def begin(self, begin: Begin) -> None:
        self._encode_waiting(begin.instant)
        if self._begin is None or begin.segment != self._begin.segment:
            self._close()
        self._begin, self._in_gap = begin, 0

    def add(self, rendered: "Rendered") -> None:
        """The next frame of the gap that has begun."""
        assert self._begin is not None
        self._encode_waiting(rendered.planned.instant)
        self._waiting = rendered
        index, ends = self._begin.index + self._in_gap, (self._begin.first, self._begin.last)
        self._notes.note(index, ends, rendered, self._info, self._stretch)
        self._in_gap += 1
        self._count(rendered)

    def end(self, instant: Fraction) -> None:
        """instant: of the end of the last frame, on the source's clock. The first of several processes waits for the
        others, and joins what all have made."""
        self._encode_waiting(instant)
        self._close()
        self._journal.processes.wait()
        if self._is_shared and self._journal.processes.is_first and self._begin is not None:
            self.frames_out = self.frames_made = self.frames_replaced = 0
            for index in range(self._begin.segment + 1):
                self._join(index, self._counted(index))
        elif self._is_shared:
            self._writer.abandon()

    def __enter__(self) -> "Assembly":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _encode_waiting(self, until: Fraction) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if self._pictures is None or self._part is None:
            self._pictures = self._writer.encoding.pictures()
            with telling(self._writer.path):
                self._part = self._open.enter_context(PartWriter(self._journal.unfinished))
        planned = waiting.planned
        shown = self._put(planned, waiting.shown)
        with telling(self._writer.path):
            self._keep(self._pictures.write(shown, planned.instant, until - planned.instant))

    def _keep(self, packets: list[Packet]) -> None:
        assert self._part is not None
        self.sizes.add(packets)
        self._part.add(packets)

    def _close(self) -> None:
        """The segment is over."""
        if self._begin is None:
            return
        index = self._begin.segment
        notes = None if self._pictures is None else self._finish(index)
        if not self._is_shared:
            self._join(index, notes or self._counted(index))

    def _join(self, index: int, notes: Notes) -> None:
        """Put a segment behind those before it."""
        self.frames_kept += len(notes.entries) if index in self._journal.kept else 0
        if self._ledger is not None:
            self._ledger.take(notes)
        self._writer.add_part(self._journal.part(index))

    def _counted(self, index: int) -> Notes:
        """The notes on a segment that was not made here and now."""
        notes = self._journal.notes(index)
        for entry in notes.entries:
            self._count(entry)
        return notes

    def _finish(self, index: int) -> Notes:
        """Encode what is left of the segment, and make it count."""
        assert self._pictures is not None
        assert self._part is not None
        notes, self._notes = self._notes, self._new_notes()
        with telling(self._writer.path):
            self._keep(self._pictures.finish())
            self._journal.commit(index, self._part.finish(), notes)
        self._pictures = self._part = None
        return notes

    def _new_notes(self) -> Notes:
        return Notes(self._ledger.pictures if self._ledger else 0)

    def _count(self, frame: "Rendered | Entry") -> None:
        self.frames_out += 1
        self.frames_made += frame.is_made
        self.frames_replaced += frame.kind in FALLBACKS
