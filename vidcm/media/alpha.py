"""Alpha: how much of a pixel is there, as a plane of its own beside the colours.

Colours stand for themselves under it (straight), as PNG, ProRes 4444 and VP9 have them. What is transparent may have
any colour, so pictures are only mixed and moved laid over a grey ground (`laid`), where every pixel counts for what is
seen of it, and taken off it again (`lifted`).
"""

import av
import cv2
import numpy as np

from vidcm.media.deep import depth_of

GROUND = 0.5  # neither white nor black lettering is lost on it
LEAST = 1 / 512  # alpha below which nobody sees a colour
NEAR = 9  # pixels: so wide a window colours what is transparent, for codecs and scalers that mix neighbours
DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own ones leave out the alpha of WebM
PACKED = {8: ("rgba", np.uint8), 16: ("rgba64le", np.uint16)}


def alpha_of(frame: av.VideoFrame) -> np.ndarray:
    """float32 [H, W], 0..1, of a frame that `has_alpha`."""
    return samples_of(frame) / np.float32(_top(frame.format.name))


def samples_of(frame: av.VideoFrame) -> np.ndarray:
    """The same as the codes themselves."""
    name = frame.format.name
    if len(frame.planes) == 4 and name.endswith("be"):
        return samples_of(frame.reformat(format=f"{name[:-2]}le"))
    if len(frame.planes) == 4:
        return _plane(frame, 3)
    kind, _ = PACKED[8 if depth_of(name) == 8 else 16]
    return frame.reformat(format=kind).to_ndarray()[..., 3]


def opaque(pix_fmt: str) -> str:
    """The format of the colours alone, planar where alpha is a plane."""
    if pix_fmt.startswith(("yuva", "gbrap")):
        return pix_fmt.replace("yuva", "yuv").replace("gbrap", "gbrp")
    deep = depth_of(pix_fmt) > 8
    if pix_fmt.startswith("ya"):
        return "gray16le" if deep else "gray"
    return "rgb48le" if deep else "rgb24"


def with_alpha(colours: av.VideoFrame, codes: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """colours: in `opaque(pix_fmt)`; codes: of alpha in `pix_fmt`, [H, W]."""
    if pix_fmt.startswith(("yuva", "gbrap")):
        made = av.VideoFrame(colours.width, colours.height, pix_fmt)
        for place in range(3):
            _plane(made, place)[:] = _plane(colours, place)
        _plane(made, 3)[:] = codes
    elif pix_fmt.startswith("ya"):
        made = _grey(colours, codes, pix_fmt)
    else:
        kind, dtype = PACKED[8 if depth_of(pix_fmt) == 8 else 16]
        packed = np.dstack([colours.to_ndarray(), codes]).astype(dtype)
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(packed), kind)
        made = made if pix_fmt == kind else made.reformat(format=pix_fmt)
    made.colorspace, made.color_range = colours.colorspace, colours.color_range
    made.color_primaries, made.color_trc = colours.color_primaries, colours.color_trc
    return made


def codes_of(alpha: np.ndarray, pix_fmt: str) -> np.ndarray:
    """Alpha 0..1, or bytes -> codes of `pix_fmt`, [H, W]."""
    top = _top(pix_fmt)
    if alpha.dtype == np.uint8:
        alpha = alpha / np.float32(255)
    return np.rint(alpha.clip(0, 1) * np.float32(top)).astype(np.uint8 if top == 255 else np.uint16)


def recoded(codes: np.ndarray, before: str, after: str) -> np.ndarray:
    """Codes of one format in another: themselves where they fit."""
    return codes if _top(before) == _top(after) else codes_of(codes / np.float32(_top(before)), after)


def laid(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Straight RGB [H, W, 3], uint8 or float32 0..1, and alpha 0..1 [H, W] -> float32 [H, W, 4]: RGB over grey, and
    alpha."""
    colours = rgb / np.float32(255) if rgb.dtype == np.uint8 else rgb
    cover = alpha[..., None]
    return np.concatenate([colours * cover + GROUND * (1 - cover), cover], axis=-1, dtype=np.float32)


def over_grey(samples: np.ndarray) -> np.ndarray:
    """RGB [H, W, 3] as it is; straight float32 RGBA [H, W, 4] as it is seen over grey."""
    return samples if samples.shape[-1] == 3 else laid(samples[..., :3], samples[..., 3])[..., :3]


def lifted(laid_HWC: np.ndarray) -> np.ndarray:
    """What `laid` gave, moved and mixed -> straight float32 RGBA [H, W, 4]. What is transparent gets the colour of what
    is near."""
    alpha = laid_HWC[..., 3].clip(0, 1)
    seen = laid_HWC[..., :3] - GROUND * (1 - alpha[..., None])
    is_there = alpha > LEAST
    colours = seen / np.where(is_there, alpha, 1)[..., None]
    if not is_there.all():
        around, cover = (cv2.blur(np.ascontiguousarray(each), (NEAR, NEAR)) for each in (seen, alpha))
        near = around / np.maximum(cover, LEAST)[..., None]
        colours = np.where(is_there[..., None], colours, near)
    return np.concatenate([colours, alpha[..., None]], axis=-1, dtype=np.float32)


def _top(pix_fmt: str) -> int:
    """The code of what is wholly there."""
    return int(2 ** depth_of(pix_fmt) - 1)


def _grey(colours: av.VideoFrame, codes: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    made = av.VideoFrame(colours.width, colours.height, pix_fmt)
    dtype = np.uint8 if depth_of(pix_fmt) == 8 else np.dtype(">u2" if pix_fmt.endswith("be") else "<u2")
    plane = made.planes[0]
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : 2 * made.width]  # type: ignore[call-overload]
    lines[:, ::2], lines[:, 1::2] = colours.to_ndarray(), codes
    return made


def _plane(frame: av.VideoFrame, place: int) -> np.ndarray:
    """[H, W], sharing the frame's memory."""
    plane, dtype = frame.planes[place], np.uint8 if depth_of(frame.format.name) == 8 else np.uint16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
    return lines[:, : plane.width]
