"""Whether an output shows what it would if it were made of this source by this rule: told by its size, and by what it
shows next to a gap at the instants of source frames. Files lose the note of `finished` when they are copied."""

from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING

from vidcm.core.errors import WrongUse
from vidcm.interpolation.plan import Rule, plan
from vidcm.interpolation.span import Place
from vidcm.media.interlace import whole_pictures
from vidcm.media.names import has_alpha

if TYPE_CHECKING:
    import numpy as np

    from vidcm.media.reader import VideoFrame, VideoReader

NEAR = 16  # source frames on either side of a gap: one of them is shown as it is, or none ever is
SIDE = 64  # pixels: so small, noise of an encoder is next to nothing
LEAST_DB = 32.0  # PSNR at that size: the lowest quality keeps 45, and a second later footage has 16 to 23


def check_made_of(output: "VideoReader", source: "VideoReader", gap: int, rule: Rule, interlaced: str) -> None:
    """gap: index of its first frame in the source. Raises WrongUse where the output is another's."""
    sizes = [f"{each.info.width}x{each.info.height}" for each in (output, source)]
    way = "make it whole with the options given here, without --range or --preview, before --reroll"
    if sizes[0] != sizes[1]:
        raise WrongUse(f"{output.info.path}: has {sizes[0]} pixels, and made of {source.info.path} {sizes[1]}: {way}")
    with_alpha = has_alpha(output.info.pix_fmt)
    for instant in _shown_beside(gap, source, rule):
        at = (instant - source.info.origin) * rule.stretch
        found = output.seek(output.timeline.instants[output.nearest(at)])
        pictures = (frame.seen if with_alpha else frame.rgb for frame in (found, _whole(source, instant, interlaced)))
        if _psnr_db(*map(_small, pictures)) < LEAST_DB:
            raise WrongUse(
                f"{output.info.path}: shows at {float(at):.3f} s another picture than {source.info.path} there: {way}"
            )


def _shown_beside(gap: int, source: "VideoReader", rule: Rule) -> list[Fraction]:
    """Instants of the source frames nearest to the gap, before and behind it, that the output shows as they are."""
    timeline, first = source.timeline, max(0, gap - NEAR)
    indices = range(first, min(len(timeline.instants), gap + NEAR))
    places = (Place(timeline.instants[at], timeline.duration_of(at)) for at in indices)
    own = {timeline.instants[at] for at in indices}  # the last frame is held at others, too
    shown = [each.instant for each in plan(rule, places, source.info.start, first) if each.instant in own]
    begin = timeline.instants[gap]
    return [at for at in shown if at <= begin][-1:] + [at for at in shown if at > begin][:1]


def _whole(source: "VideoReader", instant: Fraction, interlaced: str) -> "VideoFrame":
    """The frame there, deinterlaced by the frames next to it if it is to be."""
    before = source.timeline.instants[max(0, source.index_at(instant) - 1)]
    frames = islice(chain([source.seek(before)], source), 3)
    return next(each for each in whole_pictures(frames, source.info, interlaced, []) if each.instant >= instant)


def _small(rgb: "np.ndarray") -> "np.ndarray":
    import cv2
    import numpy as np

    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _psnr_db(one: "np.ndarray", other: "np.ndarray") -> float:
    import numpy as np

    return float(-10 * np.log10(max(1e-10, np.square(one - other).mean())))
