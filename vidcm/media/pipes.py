"""`-`: pictures that are piped in or out as YUV4MPEG2, of which nothing can be read twice."""

import sys
from pathlib import Path
from typing import BinaryIO

PIPE = Path("-")
FORMAT = "yuv4mpegpipe"
PIPED_IN = "pipe YUV4MPEG2 in, as ffmpeg -i IN -f yuv4mpegpipe -strict -1 - does, or name a file"
CUT_SHORT = "is cut short: it ends within a picture"
FRAME = b"FRAME\n"  # before each picture


def is_pipe(path: Path) -> bool:
    return path == PIPE


class Counted:
    """Standard input for PyAV, which counts what comes: FFmpeg drops half a picture without a word."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file or sys.stdin.buffer
        self._head = b""
        self._bytes = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._bytes += len(data)
        if b"\n" not in self._head:
            self._head += data
        return data

    @property
    def amiss(self) -> str:
        """What to say where it cannot be read."""
        return f"{'what came is no YUV4MPEG2' if self._bytes else 'nothing came through the pipe'}: {PIPED_IN}"

    def is_cut_short(self, picture_bytes: int) -> bool:
        """Whether it ended within a picture."""
        head = self._head.find(b"\n") + 1
        return bool((self._bytes - head) % (len(FRAME) + picture_bytes))
