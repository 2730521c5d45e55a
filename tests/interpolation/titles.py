"""A line of text before ground that moves, and an interpolator that moves all there is with it."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from vidcm.core.around import ALONE
from vidcm.media.reader import VideoFrame

SIZE, STEP, RATE = (120, 200), 4, 24  # height and width; pixels from frame to frame; frames a second


@cache
def wide_ground() -> np.ndarray:
    wide = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(SIZE[0], 800)).astype(np.float32), (0, 0), 2.5)
    return (128 + 20 * wide / wide.std()).clip(0, 255)


def ground(shift: float) -> np.ndarray:
    """float32 RGB [H, W, 3]"""
    moved = cv2.warpAffine(wide_ground(), np.float32([[1, 0, -shift], [0, 1, 0]]), SIZE[::-1], flags=cv2.INTER_LINEAR)
    return np.repeat(moved[..., None], 3, axis=2)


def letters(text: str) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    return cv2.putText(mask, text, (40, 102), cv2.FONT_HERSHEY_DUPLEX, 0.9, 255, 2, cv2.LINE_AA)[..., None] / 255.0


def picture(place: float, text: str = "TITLE", opacity: float = 1.0) -> np.ndarray:
    shown = ground(STEP * place)
    return (shown + opacity * letters(text) * (250 - shown)).round().astype(np.uint8)


def frames_of(pictures: Iterable[np.ndarray], first: int = 0) -> list[VideoFrame]:
    return [
        VideoFrame(index, Fraction(index, RATE), Fraction(1, RATE), lambda kept=kept: kept)
        for index, kept in enumerate(pictures, first)
    ]


def moves(first, last, taus, *, around=ALONE, shot=0, position=0):
    """An interpolator that knows how the ground moves, and moves all there is with it."""
    end = (last if first is None else first).permute(1, 2, 0).numpy()
    made = []
    for tau in taus:
        by = STEP * (float(tau) - (first is None))
        shift = np.float32([[1, 0, -by], [0, 1, 0]])
        made.append(cv2.warpAffine(end, shift, SIZE[::-1], borderMode=cv2.BORDER_REPLICATE))
    return torch.from_numpy(np.stack(made)).permute(3, 0, 1, 2)


def fades(first, last, taus, *, around=ALONE, shot=0, position=0):
    """An interpolator that sees no motion, as is right before ground at rest."""
    ends = [end for end in (first, last) if end is not None]
    return torch.stack([torch.lerp(ends[0], ends[-1], float(tau)) for tau in taus], dim=1)


def write(path: Path, pictures: Iterable[np.ndarray]) -> Path:
    """Lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv444p"
        for index, each in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(each, "rgb24").reformat(format="yuv444p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
