"""Encoded pictures in files of their own, a part of a video each, to be joined without encoding anew.

A part is what one encoder made from its first picture to its last: it begins with a key frame, and refers to nothing
outside. So parts follow one another in a container as groups of pictures do.
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal

MAGIC = b"vidcm pictures 2\n"
HEAD = struct.Struct("<qqqBII")  # pts, dts, duration, whether it stands alone, bytes of it and of its alpha
BESIDE: Final = "matroska_block_additional"  # where packets have that


@dataclass(frozen=True)
class Stamp:
    """When a packet's picture is shown and decoded, in ticks."""

    pts: int
    dts: int


def stamp_of(packet: Packet) -> Stamp:
    pts = packet.pts or 0
    return Stamp(pts, pts if packet.dts is None else packet.dts)


class PartWriter:
    """A context; what it is told last is on the disk when `finish` returns. digest: of all that was written."""

    def __init__(self, path: Path) -> None:
        self.bytes, self._digest = 0, hashlib.blake2b(digest_size=16)
        self._file = path.open("wb")
        self._write(MAGIC)

    def add(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            data = bytes(packet)
            stamp, duration = stamp_of(packet), packet.duration or 0
            beside = bytes(packet.get_sidedata(BESIDE)) if packet.has_sidedata(BESIDE) else b""
            sizes = len(data), len(beside)
            self._write(HEAD.pack(stamp.pts, stamp.dts, duration, packet.is_keyframe, *sizes) + data + beside)

    def finish(self) -> str:
        """Flush it to the disk. Returns the digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:  # what a full disk did not take is tried once more: that was told already
            if error is None:
                raise

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)


def stamps(path: Path) -> list[Stamp]:
    """Of a part's packets, in their order; the pictures are not read."""
    found = []
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        while head := file.read(HEAD.size):
            pts, dts, _, _, *sizes = HEAD.unpack(head)
            found.append(Stamp(pts, dts))
            file.seek(sum(sizes), os.SEEK_CUR)
    return found


def packets(path: Path, time_base: Fraction) -> Iterator[Packet]:
    """A part's packets, one at a time."""
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        while head := file.read(HEAD.size):
            pts, dts, duration, is_key, size, size_beside = HEAD.unpack(head)
            packet = Packet(file.read(size))
            packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, duration, time_base
            packet.is_keyframe = bool(is_key)
            if size_beside:
                packet.set_sidedata(_beside(file.read(size_beside)))
            yield packet


def _beside(data: bytes) -> PacketSideData:
    made = PacketSideData(packet_sidedata_type_from_literal(BESIDE), len(data))  # type: ignore[call-arg]
    made.update(data)
    return made


class DecodingOrder:
    """Gives packets of parts that follow one another decoding times that rise all along.

    An encoder that shows pictures in another order than it codes them starts the clock of decoding so many pictures
    early; where instants are uneven, the next part's early ones would fall before the last part's. Decoding times are
    the instants themselves, so many places later: the same as the encoder's at an even rate.
    """

    def __init__(self) -> None:
        self._before: list[int] | None = None

    def times(self, part: list[Stamp]) -> list[int]:
        """Decoding times of the next part's packets."""
        shown = sorted(stamp.pts for stamp in part)
        if self._before is None:
            self._before = [stamp.dts for stamp in part if stamp.dts < shown[0]]
        times = [*self._before, *shown]
        self._before = times[len(part) :]
        return times[: len(part)]
