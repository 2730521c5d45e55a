"""Pixels that are not square in Matroska and WebM: the size at which pictures are shown, put into a file that is whole.

FFmpeg's muxer takes it from a field that PyAV cannot set, so its files tell none: H.264 and HEVC have it in their own
header, VP9, AV1, FFV1 and ProRes would be shown too narrow. Two numbers more make the list of tracks longer. The room
is taken from the void that the muxer leaves before it; what lies between moves by as much, and nothing else does.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

SEGMENT, SEEK_HEAD, TRACKS = (bytes.fromhex(name) for name in ("18538067", "114d9b74", "1654ae6b"))
SEEK, POSITION, TRACK, VIDEO = (bytes.fromhex(name) for name in ("4dbb", "53ac", "ae", "e0"))
WIDE, HIGH, UNIT, CRC, VOID = (bytes.fromhex(name) for name in ("54b0", "54ba", "54b2", "bf", "ec"))
HEAD = 1 << 24  # bytes in which the tracks lie; fonts and pictures come behind them


@dataclass(frozen=True)
class Element:
    """name: its bytes; start, body, end: places in what holds it."""

    name: bytes
    start: int
    body: int
    end: int


def tell_aspect(path: Path, size: tuple[int, int], aspect: Fraction) -> bool:
    """Have the first video of a finished file shown so. size: as coded; aspect: width of a pixel over its height.

    Whether it is told: a file that FFmpeg's muxer did not write stays as it is."""
    with path.open("r+b") as file:
        head = file.read(HEAD)
        try:
            begin, told = _with_size(head, *shown_size(size, aspect))
        except (KeyError, StopIteration, IndexError, ValueError):
            return False
        file.seek(begin)
        file.write(told)
    return True


def shown_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Pixels, of exactly that shape where one side of the picture can stay what it is."""
    width, height = size
    if (height / aspect).denominator == 1 and (width * aspect).denominator != 1:
        return width, int(height / aspect)
    return round(width * aspect), height


def _with_size(head: bytes, wide: int, high: int) -> tuple[int, bytes]:
    """Where a file's head changes, and what is there then."""
    segment = next(each for each in elements(head, 0, len(head)) if each.name == SEGMENT)
    parts: dict[bytes, Element] = {}
    for each in elements(head, segment.body, len(head)):
        parts.setdefault(each.name, each)
        if each.name == TRACKS:
            break
    seek, void, tracks = parts[SEEK_HEAD], parts[VOID], parts[TRACKS]
    if not seek.end == void.start < void.end <= tracks.start < tracks.end <= len(head):
        raise ValueError("laid out in another way")
    told = _told(head[tracks.body : tracks.end], wide, high)
    told = _element(TRACKS, told)
    longer = len(told) - (tracks.end - tracks.start)
    moved = range(void.end - segment.body, tracks.start - segment.body + 1)
    places = _places(head[seek.body : seek.end], moved, longer)
    room = void.end - void.start - longer - len(VOID) - 8
    if room < 0 or len(places) != seek.end - seek.body:
        raise ValueError("no room")
    between = head[void.end : tracks.start]
    return seek.body, places + _element(VOID, bytes(room), of=8) + between + told


def _told(tracks: bytes, wide: int, high: int) -> bytes:
    """The body of the tracks with the size in the first video, in pixels, as it is where no unit is told."""
    track = next(each for each in elements(tracks, 0, len(tracks)) if each.name == TRACK and _video(tracks, each))
    video = _video(tracks, track)
    assert video is not None
    said = [each for each in elements(tracks, video.body, video.end) if each.name not in (WIDE, HIGH, UNIT)]
    size = b"".join(_element(name, value.to_bytes(4, "big")) for name, value in ((WIDE, wide), (HIGH, high)))
    told = _element(VIDEO, b"".join(tracks[each.start : each.end] for each in said) + size)
    told = _element(TRACK, tracks[track.body : video.start] + told + tracks[video.end : track.end])
    return _sealed(tracks[: track.start] + told + tracks[track.end :])


def _video(tracks: bytes, track: Element) -> Element | None:
    return next((each for each in elements(tracks, track.body, track.end) if each.name == VIDEO), None)


def _places(seek: bytes, moved: range, by: int) -> bytes:
    """The body of the list of places, those in `moved` earlier by so many bytes."""
    told = bytearray(seek)
    for entry in elements(seek, 0, len(seek)):
        for each in elements(seek, entry.body, entry.end) if entry.name == SEEK else ():
            place = int.from_bytes(seek[each.body : each.end], "big")
            if each.name == POSITION and place in moved:
                told[each.body : each.end] = (place - by).to_bytes(each.end - each.body, "big")
    return _sealed(bytes(told))


def _sealed(body: bytes) -> bytes:
    """With a checksum that is right, where there is one."""
    first = next(elements(body, 0, len(body)))
    if first.name != CRC:
        return body
    return body[: first.body] + zlib.crc32(body[first.end :]).to_bytes(4, "little") + body[first.end :]


def _element(name: bytes, body: bytes, of: int = 0) -> bytes:
    """of: bytes that tell its length, by default as few as do."""
    of = of or next(count for count in range(1, 9) if len(body) < (1 << 7 * count) - 1)
    return name + (len(body) | 1 << 7 * of).to_bytes(of, "big") + body


def elements(data: bytes, at: int, end: int) -> Iterator[Element]:
    while at < end:
        named = at + _width(data[at])
        body = named + _width(data[named])
        length = int.from_bytes(data[named:body], "big") & (1 << 7 * (body - named)) - 1
        yield Element(data[at:named], at, body, body + length)
        at = body + length


def _width(first: int) -> int:
    """Bytes of a number that begins with this one."""
    return 9 - first.bit_length()
