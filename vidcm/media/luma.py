"""The luma of a source frame as it was decoded, where that needs no conversion of colours."""

import numpy as np

from vidcm.media.deep import depth_of
from vidcm.media.motion import grey
from vidcm.media.reader import VideoFrame

PLANAR = ("yuv", "gray", "nv12")  # formats whose first plane is luma


def luma_of(frame: VideoFrame) -> np.ndarray:
    """uint8 [H, W], as coded, full or limited range as the stream has it."""
    native = frame.native
    if native is None or not _is_plain(native.format.name) or frame.alpha is not None:
        return grey(frame.seen)
    depth, plane = depth_of(native.format.name), native.planes[0]
    if depth == 8:
        return _lines(plane, np.uint8)
    return (_lines(plane, np.uint16) >> (depth - 8)).astype(np.uint8)


def _is_plain(pix_fmt: str) -> bool:
    return pix_fmt.startswith(PLANAR) and not pix_fmt.endswith("be")


def _lines(plane: "object", kind: type) -> np.ndarray:
    """[H, W], sharing the frame's memory."""
    lines = np.frombuffer(plane, kind).reshape(plane.height, -1)  # type: ignore[call-overload, attr-defined]
    return lines[:, : plane.width]  # type: ignore[attr-defined]
