"""Packets of a file, and when the pictures in them are shown.

Raw H.264 and HEVC tell no times at all, and AVI tells those of decoding: with reordered pictures, the wrong ones. There
the first picture shown gets the time of the first packet, the second one that of the second.
"""

from collections import deque
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

REORDERED = ("h264", "hevc", "vvc")  # codecs whose packets libavformat gives no times of their own
RAW = ("h264", "hevc", "vvc")  # containers that are nothing but packets


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """All packets, or those of some streams, up to the end; with the empty ones that end each stream.

    PyAV itself fails there if streams came up on the way, as they do in broadcasts.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


class Times:
    """When pictures are shown, in ticks of their stream. is_raw: the file tells nothing of it, its rate perhaps."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.is_raw = container.format.name in RAW
        self.are_counted = stream.codec_context.name in REORDERED and (self.is_raw or container.format.name == "avi")
        self._waiting: deque[int] = deque()
        self._next = 0

    def of(self, packet: Packet) -> int | None:
        """Of the picture in a packet, or of another one: all of them together are those of all pictures."""
        if not self.are_counted or not packet.size:
            return packet.pts
        ticks = self._next if packet.dts is None else packet.dts
        if packet.dts is None and not packet.duration:
            return None
        self._next = ticks + (packet.duration or 0)
        self._waiting.append(ticks)
        return ticks

    def tell(self, frame: av.VideoFrame) -> None:
        """Give a decoded frame its time, once `of` has seen its packet."""
        if self.are_counted:
            frame.pts = self._waiting.popleft() if self._waiting else None
