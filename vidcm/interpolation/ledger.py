"""What is remembered of every output frame for a report: a line each in a temporary file, and the worst as pictures.

So a report of ten hours of video needs no more memory than one of a minute.
"""

import base64
import heapq
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vidcm.interpolation.doubt import CROSSFADE

if TYPE_CHECKING:
    import numpy as np

    from vidcm.interpolation.rendered import Rendered
    from vidcm.media.info import VideoInfo

WORST = 24  # pictures
THUMBNAIL = 320, 240  # pixels they fit into
DOUBTFUL = 0.5  # score below which a frame is worth a look where nobody says otherwise
SHOWN = ("source", "flash", "end", "stand-in")  # kinds that are one source frame
MADE = ("made", CROSSFADE)  # kinds that are no source frame


@dataclass(frozen=True)
class Entry:
    """An output frame. instant: seconds on the output's clock; first: the source frame it follows, or is (tau 0), last:
    the one it leads to, as indices in the file; kind, score: see `Rendered`; level: see `brightness`, None where no
    report is asked for.
    """

    index: int
    instant: Fraction
    first: int
    last: int
    tau: Fraction
    kind: str
    score: float | None
    level: float | None = None

    @property
    def is_made(self) -> bool:
        """Whether it is no source frame."""
        return self.kind in MADE


@dataclass(order=True)
class Picture:
    """Sorted by the score, highest first. jpeg: the frame as it is shown, small."""

    doubt: float  # the score, negative
    index: int
    entry: Entry = field(compare=False)
    jpeg: bytes = field(compare=False)


class Worst:
    """The pictures of the lowest scores, at most `count`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[Picture] = []

    def admits(self, doubt: float) -> bool:
        """Whether such a picture might be among them."""
        least = self._heap[0].doubt if self._heap and len(self._heap) == self._count else -1.0
        return bool(self._count) and doubt > least

    def add(self, picture: Picture) -> None:
        heapq.heappush(self._heap, picture)
        if len(self._heap) > self._count:
            heapq.heappop(self._heap)

    def sorted(self) -> list[Picture]:
        """The lowest score first."""
        return sorted(self._heap, reverse=True)


class Notes:
    """What is remembered of a stretch of output frames. It begins with a source pair and ends with one.

    worst: so many pictures are kept, one of each source pair.
    """

    def __init__(self, worst: int = 0) -> None:
        self.entries: list[Entry] = []
        self._worst, self._is_reported = Worst(worst), worst > 0
        self._candidate: Picture | None = None

    def note(
        self, index: int, ends: tuple[int, int], rendered: "Rendered", info: "VideoInfo", stretch: Fraction
    ) -> None:
        """index: of the output frame; ends: the source frames that it lies between, in the file; info: of the source,
        from the first frame that is shown on; stretch: how much longer the output lasts."""
        from vidcm.interpolation.brightness import level_of  # numpy, which wrong use need not wait for
        from vidcm.interpolation.seen import seen_of

        planned, score = rendered.planned, rendered.score
        instant = (planned.instant - info.origin) * stretch
        level = level_of(seen_of(rendered.shown, info.pix_fmt)) if self._is_reported else None
        entry = Entry(index, instant, *ends, planned.tau, rendered.kind, score, level)
        self.entries.append(entry)
        if score is not None:
            self._consider(entry, score, rendered, info)

    def worst(self) -> list[Picture]:
        self._keep_candidate()
        return self._worst.sorted()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        pictures = [[p.entry.index, base64.b64encode(p.jpeg).decode("ascii")] for p in self.worst()]
        return {"entries": [_fields(entry) for entry in self.entries], "pictures": pictures}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Notes":
        notes = cls(len(told["pictures"]))
        notes.entries = [_entry(fields) for fields in told["entries"]]
        by_index = {entry.index: entry for entry in notes.entries}
        for index, data in told["pictures"]:
            entry = by_index[index]
            notes._worst.add(Picture(-(entry.score or 0.0), -index, entry, base64.b64decode(data)))
        return notes

    def _consider(self, entry: Entry, score: float, rendered: "Rendered", info: "VideoInfo") -> None:
        """Make a picture of it if it may be among the worst: one of each source pair."""
        before = self._candidate
        if before is not None and before.entry.first != entry.first:
            self._keep_candidate()
            before = None
        if self._worst.admits(-score) and (before is None or -score > before.doubt):
            from vidcm.interpolation.seen import seen_of

            picture = info.orientation.upright(seen_of(rendered.shown, info.pix_fmt))
            self._candidate = Picture(-score, -entry.index, entry, thumbnail(picture))

    def _keep_candidate(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            self._worst.add(candidate)


class Ledger:
    """Notes on a whole file. It is a context, and forgets everything at its end.

    doubtful: the score below which frames are counted and marked; worst: so many pictures are kept.
    """

    def __init__(self, doubtful: float = DOUBTFUL, worst: int = WORST) -> None:
        self.doubtful, self.doubtful_count, self.pictures = doubtful, 0, worst
        self._worst = Worst(worst)
        self._lines = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed with the ledger)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def take(self, notes: Notes) -> None:
        """They come in order."""
        for entry in notes.entries:
            print(json.dumps(_fields(entry)), file=self._lines)
            self.doubtful_count += entry.score is not None and entry.score < self.doubtful
        for picture in notes.worst():
            self._worst.add(picture)

    def entries(self) -> Iterator[Entry]:
        """All of them, in order."""
        self._lines.seek(0)
        for line in self._lines:
            yield _entry(json.loads(line))

    def worst(self) -> list[Picture]:
        """Pictures of the lowest scores, the lowest first."""
        return self._worst.sorted()


def _fields(entry: Entry) -> list[Any]:
    instant, tau = str(entry.instant), str(entry.tau)
    return [entry.index, instant, entry.first, entry.last, tau, entry.kind, entry.score, entry.level]


def _entry(fields: list[Any]) -> Entry:
    index, instant, first, last, tau, kind, score, level = fields
    return Entry(index, Fraction(instant), first, last, Fraction(tau), kind, score, level)


def thumbnail(rgb: "np.ndarray") -> bytes:
    """uint8, or float32 0..1, RGB [H, W, 3] -> a small JPEG."""
    import cv2
    import numpy as np

    height, width = rgb.shape[:2]
    scale = min(1.0, THUMBNAIL[0] / width, THUMBNAIL[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if small.dtype != np.uint8:
        small = (small.clip(0, 1) * 255).round().astype(np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(data)
