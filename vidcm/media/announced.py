"""How many bytes a file says it has, by its outermost boxes: that tells a copy or a download that stopped early.

Matroska and AVI say it at their start, MP4 and MOV box by box, transport streams by packets that must be whole. Other
containers say nothing, and neither do files that are written live.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vidcm.media.pipes import is_pipe
from vidcm.media.sequence import ImageSequence

# Of MP4 and MOV, at the outermost level; anything else behind them is no box, whatever length its bytes spell.
BOXES = b"ftyp moov mdat moof free skip wide uuid sidx ssix styp meta mfra pnot udta emsg prft pdin".split()
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
TRANSPORT = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and where in it the mark is
MARK, MARKS = 0x47, 5  # so many packets in a row must begin with it


def cut_short(path: Path) -> str | None:
    """What to say of a file that does not have all its bytes; None of one that has, or does not say."""
    if isinstance(path, ImageSequence) or is_pipe(path):
        return None
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        announced = announced_size(file, size)
        file.seek(0)
        is_packets = announced is not None and _packets(file.read(1024), size) == announced
    if announced is None or announced <= size:
        return None
    if is_packets:
        return "is cut short: its last packet is not whole, and nothing tells how much more there was"
    return f"is cut short: {size:,} of {announced:,} bytes are there"


def lacks_index(path: Path) -> bool:
    """Whether a file of boxes does not have all of the one that says where pictures are."""
    with path.open("rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(8)
        whole = {kind: place + length <= size for kind, place, length in _each_box(file, size)}
    return head[4:] in BOXES and not whole.get(b"moov", False)


def announced_size(file: BinaryIO, size: int) -> int | None:
    """Bytes; None where the file does not say. size: how many there are."""
    head = file.read(1024)
    if head[4:8] in BOXES:
        return _boxes(file, size)
    if head.startswith(EBML):
        return _segment(head)
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return _riff(file, size)
    return _packets(head, size)


def _boxes(file: BinaryIO, size: int) -> int | None:
    end = 0
    for kind, place, length in _each_box(file, size):
        if kind not in BOXES or length < 8:  # a length of 0 is up to the end
            return None
        end = place + length
    return end


def _each_box(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, length) of the outermost boxes, up to one that is none."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind, long = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        length = long if length == 1 else length
        yield kind, place, length
        if kind not in BOXES or length < 8:
            return
        place += length


def _segment(head: bytes) -> int | None:
    """Of Matroska: behind the EBML header comes one element that holds everything."""
    length, place = _length(head, len(EBML))
    place += length or 0
    if length is None or head[place : place + len(SEGMENT)] != SEGMENT:
        return None
    length, place = _length(head, place + len(SEGMENT))
    return None if length is None else place + length


def _length(head: bytes, place: int) -> tuple[int | None, int]:
    """EBML's number at this place (None: all ones, which is unknown), and the place behind it."""
    if place >= len(head) or head[place] == 0:
        return None, place
    bytes_ = 9 - head[place].bit_length()
    number = int.from_bytes(head[place : place + bytes_], "big") & ((1 << 7 * bytes_) - 1)
    return (None if number == (1 << 7 * bytes_) - 1 else number), place + bytes_


def _riff(file: BinaryIO, size: int) -> int | None:
    """Of AVI: beyond a gigabyte one list follows the other."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length in (0, 0xFFFFFFFF):  # of a recorder that was not ended
            return None if place == 0 else place
        place += 8 + length + length % 2
    return place


def _packets(head: bytes, size: int) -> int | None:
    for length, mark in TRANSPORT:
        marks = head[mark::length][:MARKS]
        if len(marks) == MARKS and set(marks) == {MARK}:
            return -(-size // length) * length
    return None
