"""Planning and rendering as one call."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vidcm.interpolation import rendered
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.makers import Interpolator
from vidcm.interpolation.plan import Rule
from vidcm.interpolation.render import AtCuts, Renderer
from vidcm.interpolation.rendered import Rendered
from vidcm.interpolation.shots import CutDetector
from vidcm.interpolation.works import Planner
from vidcm.media.reader import VideoFrame


@dataclass
class Tally(rendered.Tally):
    """With the output frames, too. note: is told of each, in order."""

    frames_out: int = 0
    frames_made: int = 0  # frames_out less the source frames shown
    note: Callable[[Rendered], None] = lambda rendered: None


def rendering(
    rule: Rule,
    interpolator: Interpolator,
    detector: CutDetector | None = None,
    at_cuts: AtCuts = "continue",
    doubt: Doubt | None = None,
    **planned: Any,
) -> Callable[..., Iterator[Rendered]]:
    """(frames, tally, lead_in) -> output frames. planned: other fields of `Planner`."""
    planner, renderer = Planner(rule, detector, **planned), Renderer(interpolator, at_cuts, doubt)

    def one_by_one(frames: Iterable[VideoFrame], tally: Tally, lead_in: VideoFrame | None = None) -> Iterator[Rendered]:
        for work in planner.works(frames, tally, lead_in):
            for frame in renderer.render(work):
                tally.frames_out += 1
                tally.frames_made += frame.is_made
                tally.note(frame)
                yield frame

    return one_by_one
