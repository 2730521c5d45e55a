"""Where a crop is taken, how it is turned, how its tones change: drawn once for all frames of a sample."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def draw(cls, rng: np.random.Generator, frame: tuple[int, int], size: tuple[int, int], scale: float) -> "Window":
        """A place for a window that becomes `size` (height, width) when scaled by `scale`.

        In a frame too small for that the scale grows until the window fits.
        """
        scale = max(scale, size[0] / frame[0], size[1] / frame[1])
        height, width = (min(round(side / scale), most) for side, most in zip(size, frame, strict=True))
        top, left = rng.integers(frame[0] - height + 1), rng.integers(frame[1] - width + 1)
        return cls(int(top), int(left), height, width)

    @classmethod
    def centred(cls, frame: tuple[int, int], size: tuple[int, int]) -> "Window":
        """The largest window of the aspect of `size` (height, width), in the middle."""
        scale = max(size[0] / frame[0], size[1] / frame[1])
        height, width = (min(round(side / scale), most) for side, most in zip(size, frame, strict=True))
        return cls((frame[0] - height) // 2, (frame[1] - width) // 2, height, width)

    def slices(self, every: int = 1) -> tuple[slice, slice]:
        """Index of the window in a frame [H, W, ...], on every n-th pixel each way."""
        return (
            slice(self.top, self.top + self.height, every),
            slice(self.left, self.left + self.width, every),
        )


def cut(frame: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """The window of a frame [H, W, 3], resized to `size` (height, width): averaged when it shrinks."""
    piece = frame[window.slices()]
    if piece.shape[:2] == tuple(size):
        return piece
    shrinks = window.height >= size[0] and window.width >= size[1]
    return cv2.resize(piece, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


@dataclass(frozen=True)
class Orientation:
    """A mirror image or quarter turn: transposed first, then flipped."""

    transpose: bool = False
    vertical: bool = False
    horizontal: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator, flip: float, quarter_turn: float) -> "Orientation":
        return cls(*(bool(rng.random() < chance) for chance in (quarter_turn, flip, flip)))

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """frames: [T, H, W, 3]; a view of them, with H and W exchanged if transposed."""
        frames = frames.swapaxes(1, 2) if self.transpose else frames
        return frames[:, :: -1 if self.vertical else 1, :: -1 if self.horizontal else 1]


def photometric_table(rng: np.random.Generator, strength: float) -> np.ndarray:
    """A random change of gamma, contrast and brightness as a lookup table, uint8 [1, 256, 3]."""
    tone = np.linspace(0, 1, 256)[:, None] ** np.exp(strength * rng.uniform(-1, 1))
    contrast = 1 + strength * rng.uniform(-1, 0.5)
    brightness = 0.5 * strength * rng.uniform(-1, 1) + 0.1 * strength * rng.uniform(-1, 1, 3)
    table = (tone - 0.5) * contrast + 0.5 + brightness
    return np.clip(np.round(table * 255), 0, 255).astype(np.uint8)[None]
