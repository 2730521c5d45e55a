"""Planning and rendering as one call."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.makers import Interpolator
from vidcm.interpolation.plan import Rule
from vidcm.interpolation.render import AtCuts, Renderer, one_by_one
from vidcm.interpolation.rendered import Rendered
from vidcm.interpolation.shots import CutDetector
from vidcm.interpolation.works import Planner


def rendering(
    rule: Rule,
    interpolator: Interpolator,
    detector: CutDetector | None = None,
    at_cuts: AtCuts = "continue",
    doubt: Doubt | None = None,
    **planned: Any,
) -> Callable[..., Iterator[Rendered]]:
    """(frames, tally, lead_in) -> output frames. planned: other fields of `Planner`."""
    return partial(one_by_one, Planner(rule, detector, **planned), Renderer(interpolator, at_cuts, doubt))
