"""The work in segments, each encoded by itself: what is whole stays whole, whatever happens to the rest.

A segment is gaps of the plan until it has frames enough, so where it ends is told by the plan alone: not by the clock,
nor by where an earlier run ended. Every run takes the same way, and an interrupted one ends as if it had not been.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from vidcm.core.large import LARGE
from vidcm.interpolation.filling import shown_by
from vidcm.media.info import VideoInfo

if TYPE_CHECKING:
    from vidcm.interpolation.render import Renderer
    from vidcm.interpolation.rendered import Rendered
    from vidcm.interpolation.works import Step, Work

FRAMES = 240  # output frames: as many as encoders put between two key frames anyway, so that it costs next to nothing
LEAST_FRAMES = 60


class Begin(NamedTuple):
    """A gap's frames begin. segment: which one it is of; index: output frames before it; instant: of the first one;
    first, last: the source frames they lie between, in the file; behind its last one, as if another came. It holds no
    pictures: it waits beside those that are rendered."""

    segment: int
    index: int
    instant: Fraction
    first: int
    last: int


def length_for(info: VideoInfo) -> int:
    """Output frames that fill a segment: large ones take longer to make."""
    return max(LEAST_FRAMES, min(FRAMES, FRAMES * LARGE // (info.width * info.height)))


def numbered(works: "Iterable[Work]", length: int) -> "Iterator[tuple[Begin, Work]]":
    """A segment ends with the gap that fills it."""
    segment = index = begun = 0
    for work in works:
        if index - begun >= length:
            segment, begun = segment + 1, index
        yield Begin(segment, index, work.planned[0].instant, *_ends(work.step)), work
        index += len(work.planned)


def _ends(step: "Step") -> tuple[int, int]:
    first = shown_by(step.first.frame)
    return first, first + 1 if step.last is None else shown_by(step.last.frame)


def rendered(
    begins: "Generator[tuple[Begin, Work], None, None]", renderer: "Renderer", is_wanted: Callable[[int], bool]
) -> "Iterator[Begin | Rendered]":
    """Each gap's beginning, and its frames where its segment is wanted."""
    with closing(begins):
        for begin, work in begins:
            yield begin
            if is_wanted(begin.segment):
                yield from renderer.render(work)
            del work  # while the next one is waited for
