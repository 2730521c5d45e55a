"""Pictures of more than eight bits: YUV to float RGB and back with the stream's own matrix and range.

libswscale misses the standard by up to four codes of ten bits on this way: seen as flicker beside source frames that
pass untouched. So it only brings chroma to full size and back; the matrix is applied here, in floating point:

    y, cb, cr = scale (Y - offset)            H.273 equations 20-31, scaled to n bits
    r = y + (2 - 2 kr) cr,  b = y + (2 - 2 kb) cb,  g = (y - kr r - kb b) / (1 - kr - kb)
"""

from collections.abc import Iterator

import av
import cv2
import numpy as np

MIDDLE = "yuv444p{}le"  # where libswscale's part ends and ours begins
MIDDLE_DEPTHS = (9, 10, 12, 14, 16)
# H.273 matrix code -> weights of red and blue in luma, kr and kb
WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
HEADROOM = 0.1  # of black to white: what limited range has above white, and a little more
WHITE = 235  # of eight bits, limited range
LOST = 0.05  # codes of the mean: more is a flicker between source frames and made ones
SPARSE = 4  # every so many pixels are looked at
BAND = 2**17  # pixels that are computed at once: floats of a large picture are held once, not three times over


def depth_of(pix_fmt: str) -> int:
    """Bits of its deepest component."""
    return max(component.bits for component in av.VideoFormat(pix_fmt).components)


def middle_format(pix_fmt: str) -> str:
    """4:4:4 of the same depth, or of the next that there is."""
    depth = depth_of(pix_fmt)
    return MIDDLE.format(next((known for known in MIDDLE_DEPTHS if known >= depth), MIDDLE_DEPTHS[-1]))


def rgb_of(frame: av.VideoFrame, matrix: int, is_full: bool) -> np.ndarray:
    """A planar 16-bit frame of Y, Cb, Cr without subsampling -> float32 RGB [H, W, 3], 0..1 from black to white, with
    HEADROOM."""
    depth, planes = depth_of(frame.format.name), [_plane(plane) for plane in frame.planes]
    there = np.linalg.inv(_ycc_from_rgb(matrix)) / _scale(is_full, depth)
    rgb = np.empty((frame.height, frame.width, 3), np.float32)
    for rows in _bands(frame.height, frame.width):
        codes = np.stack([plane[rows] for plane in planes], axis=-1)
        band = _affine(codes, there, -there @ _offset(is_full, depth))
        band.clip(-HEADROOM, 1 + HEADROOM, out=rgb[rows])
    return rgb


def yuv_of(rgb_HWC: np.ndarray, matrix: int, is_full: bool, pix_fmt: str) -> av.VideoFrame:
    """Float RGB 0..1 -> a planar 16-bit frame without subsampling, of the nearest Y, Cb, Cr codes."""
    height, width, _ = rgb_HWC.shape
    frame, depth = av.VideoFrame(width, height, pix_fmt), depth_of(pix_fmt)
    there = _scale(is_full, depth)[:, None] * _ycc_from_rgb(matrix)
    planes = [_plane(plane) for plane in frame.planes]
    for rows in _bands(height, width):
        codes = _affine(rgb_HWC[rows], there, _offset(is_full, depth))
        np.rint(codes, out=codes).clip(0, 2**depth - 1, out=codes)
        for channel, plane in enumerate(planes):
            plane[rows] = codes[..., channel]
    return frame


def overshoots(frame: av.VideoFrame) -> bool:
    """Whether a frame of eight bits is brighter than white in places (cameras that use the codes above 235), and would
    visibly lose by being clipped there. The frame's range: limited.
    """
    if not frame.format.name.startswith(("yuv4", "nv12")) or depth_of(frame.format.name) > 8:
        return False
    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
    seen = lines[::SPARSE, : plane.width : SPARSE]
    return float(np.maximum(seen, WHITE).mean()) - WHITE > LOST


def frame_of(samples_HWC: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """A planar 16-bit frame without subsampling that holds these samples."""
    height, width, _ = samples_HWC.shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for channel, plane in enumerate(frame.planes):
        _plane(plane)[:] = samples_HWC[..., channel]
    return frame


def _bands(height: int, width: int) -> Iterator[slice]:
    rows = max(1, BAND // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


def _plane(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """uint16 [H, W], sharing the frame's memory, without the padding behind each line."""
    lines = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)  # type: ignore[call-overload]
    return lines[:, : plane.width]


def _affine(samples_HWC: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """float32 matrix @ samples + offset, for every pixel."""
    return cv2.transform(
        samples_HWC.astype(np.float32, copy=False), np.column_stack([matrix, offset]).astype(np.float32)
    )


def _ycc_from_rgb(matrix: int) -> np.ndarray:
    red, blue = WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)])


def _scale(is_full: bool, depth: int) -> np.ndarray:
    """Codes from black to white, and over the span of Cb and Cr."""
    return np.full(3, 2.0**depth - 1) if is_full else 2.0 ** (depth - 8) * np.array([219, 224, 224])


def _offset(is_full: bool, depth: int) -> np.ndarray:
    """Codes of black and of no colour."""
    return 2.0 ** (depth - 8) * np.array([0 if is_full else 16, 128, 128])
