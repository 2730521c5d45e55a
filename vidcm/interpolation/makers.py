"""What makes the in-between frames of a pair, all at once or one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from torch import Tensor

from vidcm.core.around import ALONE, Around
from vidcm.core.judged import Judged
from vidcm.interpolation.lazily import Lazily

Looks = tuple[Any, Any, Any, Any]  # at first, last, before and after; None where one is absent


class Interpolator(Protocol):
    """The model, a baseline, or a function of yours."""

    def __call__(
        self,
        first: Tensor | None,
        last: Tensor | None,
        taus: Sequence[float],
        *,
        around: Around = ALONE,
        shot: int = 0,
        position: int = 0,
    ) -> Tensor | Judged:
        """first, last: consecutive source frames, RGB [3, H, W], float32 0..1; None: absent, it is in another shot.
        Of pictures with alpha that is kept [4, H, W]: laid over grey (`media.alpha`), and alpha, to be moved alike; of
        scene-linear light [6 or 7, H, W]: see `media.light.layered`.

        taus: positions from first (0) to last (1), strictly between. around: the source frames next to the pair, as far
        as they are of its shot. shot, position: which shot, and the index of the first frame; randomness is keyed by
        them. Returns as many planes [3, len(taus), H, W] on any device, or `Judged` ones.
        """
        ...


class FrameByFrame(Protocol):
    """An interpolator whose frames can be had one by one, so that one is in memory, and whose knowledge of a frame
    outlives its pixels."""

    def look(self, frame: Tensor, /) -> Any:
        """All it needs of a frame around a pair; of one of the pair, beside its pixels. frame: as for a call."""
        ...

    def each(
        self,
        first: Tensor | None,
        last: Tensor | None,
        taus: Sequence[float],
        *,
        looks: Looks,
        around: Around,
        shot: int,
        position: int,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """What a call gives, frame by frame: [3 or more, 1, H, W], and its score [1], if any. around: times alone."""
        ...


def in_strips(interpolator: Interpolator, pixels: int | None) -> Interpolator:
    """The same, which makes so many pixels at once where it works in strips; None: as many as it likes."""
    if pixels is None:
        return interpolator
    if isinstance(interpolator, Lazily):
        return Lazily(cache(lambda: in_strips(interpolator.loaded(), pixels)))
    kind: Any = interpolator
    return replace(kind, strip=pixels) if hasattr(kind, "strip") else interpolator


def frame_by_frame(interpolator: Interpolator) -> FrameByFrame | None:
    """The one that makes frames one by one, if it does."""
    found: Any = interpolator.loaded() if isinstance(interpolator, Lazily) else interpolator
    return found if hasattr(found, "each") else None
