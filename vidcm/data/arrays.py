"""Frames on disk: uint8 RGB [T, H, W, 3] in .npy files, written one frame at a time, mapped by those who read."""

import hashlib
import os
import zlib
from pathlib import Path

import cv2
import numpy as np

HEADER_BYTES = 128  # of an .npy file; numpy pads it so that the number of frames can be written last

Shape = tuple[int, int, int, int]


class ArrayWriter:
    """An array that grows under a name of its own, ending in `.partial`, and is renamed when whole."""

    def __init__(self, aside: Path) -> None:
        self.count = 0
        self._aside, self._size = aside, (0, 0, 0)
        self._file = aside.open("wb")
        self._file.write(bytes(HEADER_BYTES))

    def add(self, frame: np.ndarray) -> None:
        if self.count and frame.shape != self._size:
            raise ValueError(f"frame size changes within the video, from {self._size[:2]} to {frame.shape[:2]}")
        self._size = frame.shape
        self._file.write(np.ascontiguousarray(frame))
        self.count += 1

    def finish(self, path: Path, count: int | None = None) -> Shape:
        """Give it its name, with the first `count` frames only. Returns its shape."""
        shape = (self.count if count is None else count, *self._size)
        self._file.truncate(HEADER_BYTES + int(np.prod(shape)))
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        if self._file.tell() != HEADER_BYTES:
            raise ValueError(f"array header of {self._file.tell()} bytes, expected {HEADER_BYTES}")
        self._file.close()
        os.replace(self._aside, path)
        return shape

    def discard(self) -> None:
        """Leave nothing behind; harmless after `finish`."""
        self._file.close()
        self._aside.unlink(missing_ok=True)


def is_whole(path: Path, shape: Shape, checksum: int) -> bool:
    """Whether an array is there, of the right size and with the pixels it had (a few frames are looked at)."""
    whole = path.is_file() and path.stat().st_size == HEADER_BYTES + int(np.prod(shape))
    return whole and probe(path, shape) == checksum


def probe(path: Path, shape: Shape) -> int:
    """Checksum of the header and a few frames."""
    frame_bytes = int(np.prod(shape[1:]))
    with path.open("rb") as file:
        value = zlib.crc32(file.read(HEADER_BYTES))
        for index in sorted({0, shape[0] // 3, 2 * shape[0] // 3, shape[0] - 1}):
            file.seek(HEADER_BYTES + index * frame_bytes)
            value = zlib.crc32(file.read(frame_bytes), value)
    return value


def shrink(frame: np.ndarray, short_side: int | None) -> np.ndarray:
    """Shrink a frame [H, W, 3] by area averaging so that its short side has short_side pixels; never enlarges."""
    height, width = frame.shape[:2]
    if short_side is None or min(height, width) <= short_side:
        return frame
    return cv2.resize(frame, shrunken_size(width, height, short_side), interpolation=cv2.INTER_AREA)


def shrunken_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """(width, height) of a frame after `shrink`."""
    scale = 1.0 if short_side is None else min(1.0, short_side / min(height, width))
    return round(width * scale), round(height * scale)


def file_digest(path: Path) -> str:
    """Hash of a file's content, 32 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def text_digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
