"""Luma and colour of a source frame as it was decoded, where that needs no conversion of colours."""

import cv2
import numpy as np

from vidcm.media.deep import depth_of
from vidcm.media.motion import grey
from vidcm.media.reader import VideoFrame

PLANAR = ("yuv", "gray", "nv12")  # formats whose first plane is luma


def luma_of(frame: VideoFrame) -> np.ndarray:
    """uint8 [H, W], as coded, full or limited range as the stream has it."""
    native = frame.native
    if native is None or not _is_plain(frame):
        return grey(frame.seen)
    return _eight_bits(native.planes[0], depth_of(native.format.name))


def chroma_of(frame: VideoFrame) -> tuple[np.ndarray, ...]:
    """Cb and Cr, uint8, each of the size in which it is coded, or half that of RGB; none of what is grey."""
    native = frame.native
    if native is None or not _is_plain(frame):
        height, width = frame.seen.shape[:2]
        half = cv2.resize(frame.seen, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
        _, cr, cb = cv2.split(cv2.cvtColor(half, cv2.COLOR_RGB2YCrCb))
        return cb, cr
    depth, planes = depth_of(native.format.name), native.planes
    if len(planes) == 2:  # NV12: in turns
        both = _eight_bits(planes[1], depth, width=2 * planes[1].width)
        return both[:, ::2], both[:, 1::2]
    return tuple(_eight_bits(plane, depth) for plane in planes[1:3])


def _is_plain(frame: VideoFrame) -> bool:
    name = "" if frame.native is None else frame.native.format.name
    return name.startswith(PLANAR) and not name.endswith("be") and frame.alpha is None


def _eight_bits(plane: "object", depth: int, width: int | None = None) -> np.ndarray:
    """[H, W], sharing the frame's memory where it can. width: samples in a line; None: pixels."""
    kind = np.uint8 if depth == 8 else np.uint16
    lines = np.frombuffer(plane, kind).reshape(plane.height, -1)  # type: ignore[call-overload, attr-defined]
    shown: np.ndarray = lines[:, : width or plane.width]  # type: ignore[attr-defined]
    return shown if depth == 8 else (shown >> (depth - 8)).astype(np.uint8)
