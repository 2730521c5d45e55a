"""How a stored picture must be turned to be seen upright: the container's display matrix, reduced to quarter turns."""

from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np


@dataclass(frozen=True)
class Orientation:
    """Coded pixels to upright ones: transpose first, then mirror along x and y. The default leaves them as they are."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """From a decoded frame's display matrix [a b u; c d v; x y w]: x' = a x + c y, y' = b x + d y."""
        for data in cast(Any, frame.side_data):  # PyAV types it as a mapping, it iterates over values
            if data.type.name == "DISPLAYMATRIX":
                (a, b, _), (c, d, _) = np.frombuffer(bytes(data)[:24], "<i4").reshape(2, 3).tolist()
                transpose = abs(b) + abs(c) > abs(a) + abs(d)
                return cls(transpose, (c if transpose else a) < 0, (b if transpose else d) < 0)
        return cls()

    @property
    def is_upright(self) -> bool:
        return self == Orientation()

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as seen."""
        return (height, width) if self.transpose else (width, height)

    def upright(self, picture_HWC: np.ndarray) -> np.ndarray:
        """Coded pixels [H, W, C] as seen, contiguous."""
        if self.transpose:
            picture_HWC = picture_HWC.swapaxes(0, 1)
        if self.flip_x:
            picture_HWC = picture_HWC[:, ::-1]
        if self.flip_y:
            picture_HWC = picture_HWC[::-1]
        return np.ascontiguousarray(picture_HWC)

    def display_matrix(self) -> list[int]:
        """The nine numbers a container stores, in 16.16 and 2.30 fixed point."""
        x, y = -65536 if self.flip_x else 65536, -65536 if self.flip_y else 65536
        turn = [0, y, 0, x, 0, 0] if self.transpose else [x, 0, 0, 0, y, 0]
        return [*turn, 0, 0, 1 << 30]
