"""How an interpolator is asked for the frames of a gap, and what it is shown: all at once, or one by one if it can."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from vidcm.core.around import Around
from vidcm.core.judged import judged
from vidcm.interpolation.makers import FrameByFrame, Interpolator, frame_by_frame
from vidcm.interpolation.pictures import Picture

Ends = Sequence[Picture | None]
Answers = Iterator[tuple[Tensor, Tensor | None]]
T = TypeVar("T")


class Beside(NamedTuple):
    """The frames next to a pair, as far as they are of its shot; lead, trail: when, see `Around`."""

    before: Picture | None
    after: Picture | None
    lead: Fraction
    trail: Fraction

    def around(self) -> Around:
        before, after = (None if picture is None else picture.tensor for picture in self[:2])
        return Around(before, after, self.lead, self.trail)


def answers(interpolator: Interpolator, ends: Ends, taus: Sequence[float], beside: Beside, **where: Any) -> Answers:
    """Frames [3, K, H, W] and their scores [K], some at a time, in order. where: its shot and position."""
    by = frame_by_frame(interpolator)
    if by is None:
        return _together(interpolator, ends, taus, beside, **where)
    return _one_by_one(by, ends, taus, beside, **where)


def _together(interpolator: Interpolator, ends: Ends, taus: Sequence[float], beside: Beside, **where: Any) -> Answers:
    with torch.inference_mode():
        made = judged(interpolator(*_tensors(ends), taus, around=beside.around(), **where))
    yield made


def _one_by_one(by: FrameByFrame, ends: Ends, taus: Sequence[float], beside: Beside, **where: Any) -> Answers:
    with torch.inference_mode():
        beyond = [_look(picture, by) for picture in beside[:2]]
        for picture, is_over in ((beside.before, True), (beside.after, False)):
            if picture is not None:
                picture.let_go(is_over=is_over)
        looks = (*(_look(end, by) for end in ends), *beyond)
        first, last = _tensors(ends)
    times = Around(lead=beside.lead, trail=beside.trail)
    yield from _in_inference(by.each(first, last, taus, looks=looks, around=times, **where))


def _tensors(ends: Ends) -> tuple[Tensor | None, ...]:
    return tuple(None if end is None else end.tensor for end in ends)


def _look(picture: Picture | None, by: FrameByFrame) -> Any:
    return None if picture is None else picture.look(by)


def _in_inference(pieces: Iterator[T]) -> Iterator[T]:
    """In inference mode while they are made, and not while they are used."""
    while True:
        with torch.inference_mode():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece
        del piece
