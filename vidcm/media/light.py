"""Scene-linear light (OpenEXR) and the display-like values that networks and eyes know.

    y = 1.055 x^(1/2.4) - 0.055     from 0.0031308 to white (1): the curve of sRGB, IEC 61966-2-1
    y = 12.92 x                     below, for negative values too
    y = 1 + SLOPE ln x              above white, as steep there as the curve below

So y rises with x all the way, and the brightest that half floats hold is 5.9. Colours are associated: multiplied by
alpha already.
"""

import av
import numpy as np

TOE, SLOPE = 0.0031308, 1.055 / 2.4
BRIGHTEST = 65504.0  # in half floats
PLANES = ("gbrpf32le", "gbrapf32le")
ORDER = (2, 0, 1, 3)  # of red, green, blue and alpha in those


def display(linear: np.ndarray) -> np.ndarray:
    """x -> y, float32. What is no number counts as black."""
    x = np.nan_to_num(linear.astype(np.float32), nan=0, posinf=BRIGHTEST, neginf=-BRIGHTEST)
    curve = 1.055 * np.maximum(x, TOE) ** np.float32(1 / 2.4) - np.float32(0.055)
    bright = 1 + np.float32(SLOPE) * np.log(np.maximum(x, 1))
    return np.where(x < TOE, np.float32(12.92) * x, np.where(x > 1, bright, curve)).astype(np.float32)


def linear(shown: np.ndarray) -> np.ndarray:
    """y -> x, float32, up to BRIGHTEST."""
    y = shown.astype(np.float32)
    curve = ((np.maximum(y, 0) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    bright = np.exp(np.clip((y - 1) / np.float32(SLOPE), 0, np.log(BRIGHTEST)))
    x = np.where(y < 12.92 * TOE, y / np.float32(12.92), np.where(y > 1, bright, curve))
    return x.clip(-BRIGHTEST, BRIGHTEST).astype(np.float32)


def layered(light: np.ndarray) -> np.ndarray:
    """Linear RGB or RGBA [H, W, C] -> float32 [H, W, 6 or 7]: display-like RGB within 0..1, what of it lies beyond, and
    alpha. All of it may be moved and mixed, and the first three are a picture like any other."""
    shown = display(light[..., :3])
    inside = shown.clip(0, 1)
    return np.concatenate([inside, shown - inside, light[..., 3:]], axis=-1, dtype=np.float32)


def lit(layers: np.ndarray) -> np.ndarray:
    """What `layered` gave, moved and mixed -> linear RGB or RGBA."""
    light, alpha = linear(layers[..., :3] + layers[..., 3:6]), layers[..., 6:].clip(0, 1)
    return np.concatenate([light, alpha], axis=-1, dtype=np.float32)


def light_of(frame: av.VideoFrame) -> np.ndarray:
    """float32 RGB or RGBA [H, W, C] of a frame of float planes: the very values."""
    kind = np.float16 if "f16" in frame.format.name else np.float32
    lines = [np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]  # type: ignore[call-overload]
    return np.stack([lines[place] for place in ORDER[: len(lines)]], axis=-1).astype(np.float32)


def frame_of(light: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """A frame of float planes, pix_fmt one of PLANES. Where alpha is missing all is opaque."""
    height, width = light.shape[:2]
    frame = av.VideoFrame(width, height, pix_fmt)
    for channel, place in enumerate(ORDER[: len(frame.planes)]):
        plane = frame.planes[place]
        lines = np.frombuffer(plane, np.float32).reshape(plane.height, -1)  # type: ignore[call-overload]
        lines[:, :width] = light[..., channel] if channel < light.shape[-1] else 1
    return frame


def is_light(pix_fmt: str) -> bool:
    """Whether its samples are floats."""
    return pix_fmt.endswith(("f16le", "f16be", "f32le", "f32be"))


def is_coloured(pix_fmt: str) -> bool:
    """Whether it is light that this module knows."""
    return is_light(pix_fmt) and pix_fmt.startswith(("gbrpf", "gbrapf")) and pix_fmt.endswith("le")
