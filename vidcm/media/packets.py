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
from av.video.frame import PictureType
from av.video.stream import VideoStream

REORDERED = ("h264", "hevc", "vvc")  # codecs whose packets libavformat gives no times of their own
RAW = ("h264", "hevc", "vvc")  # containers that are nothing but packets
MOST = 17  # packets that come behind another one and are shown before it: encoders put up to 16 between two references

AHEAD_OF_NONE = (PictureType.I, PictureType.P)  # pictures that are shown behind all that were sent before them


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """All packets, or those of some streams, up to the end; with the empty ones that end each stream.

    PyAV itself fails there if streams came up on the way, as they do in broadcasts.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


class Times:
    """When pictures are shown, in ticks of their stream. is_raw: the file tells nothing of it, its rate perhaps.

    Where they are counted, each packet takes its number through the decoder. Those that no picture comes from give up
    their times, or all later pictures would be shown too early.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._context = stream.codec_context
        self.is_raw = container.format.name in RAW
        self.are_counted = self._context.name in REORDERED and (self.is_raw or container.format.name == "avi")
        self._waiting: deque[int] = deque()  # times that no picture has yet
        self._decoding: deque[int] = deque()  # numbers of packets that no picture has come from
        self._next = self._number = 0

    def of(self, packet: Packet) -> int | None:
        """Of the picture in a packet, or of another one: all of them together are those of all pictures."""
        if not self.are_counted or not packet.size:
            return packet.pts
        ticks = self._next if packet.dts is None else packet.dts
        if packet.dts is None and not packet.duration:
            return None
        self._next = ticks + (packet.duration or 0)
        return ticks

    def send(self, packet: Packet) -> None:
        """Of a packet that is about to be decoded."""
        ticks = self.of(packet)
        if self.are_counted and packet.size:
            packet.pts = self._number
            if ticks is not None:
                self._waiting.append(ticks)
                self._decoding.append(self._number)
            self._number += 1

    def tell(self, frame: av.VideoFrame) -> None:
        """Give a decoded frame its time, once its packet was sent."""
        if not self.are_counted:
            return
        if (number := frame.pts) is not None:
            is_in_order = not self._context.has_b_frames or frame.pict_type in AHEAD_OF_NONE
            while self._decoding and self._decoding[0] < number - (0 if is_in_order else MOST):
                self._decoding.popleft()
                self._waiting.popleft()
            if number in self._decoding:
                self._decoding.remove(number)
        frame.pts = self._waiting.popleft() if self._waiting else None
