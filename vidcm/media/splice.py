"""Some pictures of a finished file replaced: encoded anew from one clean border to the next, all else copied.

A border is clean where what follows begins with a key frame and nothing before it is shown later: an encoder that let
pictures refer across key frames (HEVC does) leaves clean ones only where it started.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import cast

import av
from av.packet import Packet
from av.video.stream import VideoStream

from vidcm.core.errors import UserError
from vidcm.media.info import VideoInfo, decoder_of, open_container
from vidcm.media.parts import Stamp

LENGTH, MARK = 4, b"\0\0\0\1"  # bytes of a unit's length, as FFmpeg's muxers write it, and what stands for it


@dataclass(frozen=True)
class Coded:
    """A packet of a file, in ticks of its stream."""

    pts: int
    duration: int
    is_key: bool


def coded(info: VideoInfo) -> list[Coded]:
    """All packets of the main video, as they are coded."""
    return [Coded(packet.pts or 0, packet.duration or 0, packet.is_keyframe) for packet in packets_of(info)]


def packets_of(info: VideoInfo, places: range | None = None) -> Iterator[Packet]:
    """The packets at `places`, of all that have a picture in them."""
    with open_container(info.path) as container:
        found = (packet for packet in container.demux(container.streams[info.stream_index]) if packet.size)
        for place, packet in enumerate(found):
            if places is None or place in places:
                yield packet


def stretch_of(file: Sequence[Coded], wanted: Collection[int]) -> range:
    """The fewest packets between clean borders that have all pictures whose pts are wanted."""
    places = [place for place, packet in enumerate(file) if packet.pts in wanted]
    latest = [*accumulate((packet.pts for packet in file), max)]
    earliest = [*accumulate((packet.pts for packet in reversed(file)), min)][::-1]
    keys = [place for place, packet in enumerate(file) if packet.is_key]
    borders = [place for place in keys if not place or latest[place - 1] < earliest[place]]
    start = max((border for border in borders if border <= places[0]), default=0)
    return range(start, min((border for border in borders if border > places[-1]), default=len(file)))


def stamps_of(file: Sequence[Coded]) -> list[Stamp]:
    """When they are decoded is told by the order alone: not every container keeps it."""
    shown = sorted(packet.pts for packet in file)
    rank = {pts: place for place, pts in enumerate(shown)}
    delay = max(place - rank[packet.pts] for place, packet in enumerate(file))
    step = max(1, (shown[-1] - shown[0]) // max(1, len(shown) - 1))
    times = [*(shown[0] - step * early for early in range(delay, 0, -1)), *shown]
    return [Stamp(packet.pts, dts) for packet, dts in zip(file, times, strict=False)]


def pictures_of(info: VideoInfo, places: range) -> Iterator[av.VideoFrame]:
    """Decoded, in the order they are shown. A clean border behind them keeps the rest out."""
    with open_container(info.path) as container:
        decoder = decoder_of(cast(VideoStream, container.streams[info.stream_index]))
        found = (packet for packet in container.demux(container.streams[info.stream_index]) if packet.size)
        for place, packet in enumerate(found):
            if place in places:
                yield from decoder.decode(packet)
            if place >= places.stop:
                break
        yield from decoder.decode(None)


def as_encoded(packets: Iterator[Packet], info: VideoInfo) -> Iterator[Packet]:
    """Packets of a file as an encoder gives them: H.264 and HEVC with a mark before each unit (annex B of either),
    where files have its length."""
    with open_container(info.path) as container:
        head = bytes(container.streams[info.stream_index].codec_context.extradata or b"")
    has_lengths = info.codec in ("h264", "hevc") and head[:1] == b"\x01"
    return map(_marked, packets) if has_lengths else packets


def _marked(packet: Packet) -> Packet:
    data, units, place = bytes(packet), [], 0
    while place < len(data):
        end = place + LENGTH + int.from_bytes(data[place : place + LENGTH], "big")
        units.append(MARK + data[place + LENGTH : end])
        place = end
    marked = Packet(b"".join(units))
    marked.pts, marked.duration, marked.time_base = packet.pts, packet.duration, packet.time_base
    marked.is_keyframe = packet.is_keyframe
    return marked


def check_alike(made: Path, before: Path) -> None:
    """Raises UserError where a decoder of the one would not know what to do with pictures of the other."""
    heads = []
    for path in (made, before):
        with open_container(path) as container:
            context = container.streams.video[0].codec_context
            heads.append((context.name, context.pix_fmt, context.extradata))
    if heads[0] != heads[1]:
        raise UserError(f"{before}: was encoded in another way than now asked for: give the --codec it was made with")
