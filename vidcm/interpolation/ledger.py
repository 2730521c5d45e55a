"""What is remembered of every output frame for a report: a line each in a temporary file, and the worst as pictures.

So a report of ten hours of video needs no more memory than one of a minute.
"""

import heapq
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np

    from vidcm.interpolation.render import Rendered
    from vidcm.media.info import VideoInfo

WORST = 24  # pictures
THUMBNAIL = 320, 240  # pixels they fit into
DOUBTFUL = 0.5  # score below which a frame is worth a look where nobody says otherwise


@dataclass(frozen=True)
class Entry:
    """An output frame. instant: seconds on the output's clock; first: the source frame it follows, or is (tau 0), last:
    the one it leads to, as indices in the file; kind, score: see `Rendered`.
    """

    index: int
    instant: Fraction
    first: int
    last: int
    tau: Fraction
    kind: str
    score: float | None


@dataclass(order=True)
class Picture:
    """Sorted by the score, highest first. jpeg: the frame as it is shown, small."""

    doubt: float  # the score, negative
    index: int
    entry: Entry = field(compare=False)
    jpeg: bytes = field(compare=False)


class Ledger:
    """Give `note` to a `Tally`; it is a context, and forgets everything at its end.

    doubtful: the score below which frames are counted and marked; worst: so many pictures are kept, one a source pair.
    """

    def __init__(self, doubtful: float = DOUBTFUL, worst: int = WORST) -> None:
        self.doubtful, self.doubtful_count = doubtful, 0
        self._worst, self._count, self._shift = worst, 0, 0
        self._pictures: list[Picture] = []
        self._candidate: Picture | None = None
        self._lines = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed with the ledger)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def note(self, rendered: "Rendered", info: "VideoInfo", stretch: Fraction) -> None:
        """info: of the source, from the first frame that is shown on; stretch: how much longer the output lasts."""
        planned, score = rendered.planned, rendered.score
        if not self._count:  # a plan counts from where it begins: a part of a file does so in its middle
            self._shift = getattr(rendered.shown, "index", planned.source) - planned.source
        instant = (planned.instant - info.origin) * stretch
        first = planned.source + self._shift
        entry = Entry(self._count, instant, first, first + planned.span, planned.tau, rendered.kind, score)
        self._count += 1
        fields = [str(instant), first, entry.last, str(planned.tau), rendered.kind, score]
        print(json.dumps(fields), file=self._lines)
        if score is not None:
            self.doubtful_count += score < self.doubtful
            self._consider(entry, score, rendered, info)

    def entries(self) -> Iterator[Entry]:
        """All of them, in order."""
        self._lines.seek(0)
        for index, line in enumerate(self._lines):
            instant, first, last, tau, kind, score = json.loads(line)
            yield Entry(index, Fraction(instant), first, last, Fraction(tau), kind, score)

    def worst(self) -> list[Picture]:
        """Pictures of the lowest scores, the lowest first."""
        self._keep_candidate()
        return sorted(self._pictures, reverse=True)

    def _consider(self, entry: Entry, score: float, rendered: "Rendered", info: "VideoInfo") -> None:
        """Make a picture of it if it may be among the worst: one of each source pair."""
        before = self._candidate
        if before is not None and before.entry.first != entry.first:
            self._keep_candidate()
            before = None
        threshold = self._pictures[0].doubt if len(self._pictures) == self._worst else -1.0
        if -score > max(threshold, -1.0 if before is None else before.doubt):
            shown = rendered.shown
            samples = shown.rgb if hasattr(shown, "rgb") else shown
            self._candidate = Picture(-score, -entry.index, entry, thumbnail(info.orientation.upright(samples)))

    def _keep_candidate(self) -> None:
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            heapq.heappush(self._pictures, candidate)
            if len(self._pictures) > self._worst:
                heapq.heappop(self._pictures)


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
