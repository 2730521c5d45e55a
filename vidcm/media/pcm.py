"""Sound that is not compressed: the one kind that can be cut to the sample without being encoded anew."""

import re
from dataclasses import dataclass
from fractions import Fraction

from av.audio.stream import AudioStream
from av.packet import Packet

# Those with headers (Blu-ray, DVD) or a plane for each channel are cut to whole packets, as anything else is.
PLAIN = re.compile(r"pcm_(?:[suf](8|16|24|32|64)(?:le|be)?|(?:a|mu)law)")


@dataclass(frozen=True)
class Pcm:
    """rate: samples a second; bytes: of one sample of all channels."""

    rate: int
    bytes: int

    @classmethod
    def of(cls, stream: AudioStream) -> "Pcm | None":
        """None where it is not plain PCM."""
        context = stream.codec_context
        name = None if context is None else PLAIN.fullmatch(context.name)
        if name is None:
            return None
        return cls(context.rate, int(name[1] or 8) // 8 * context.channels)

    def settled(self, start: Fraction, packet: Packet, expected: Fraction | None) -> Fraction:
        """When a packet begins: at `expected`, where the one before it ended by its samples, unless its own time is
        farther from that than its clock rounds."""
        if expected is None or abs(start - expected) > packet.time_base:
            return start
        return expected

    def end(self, start: Fraction, packet: Packet) -> Fraction:
        """Of a packet that begins at `start`, seconds, by its samples."""
        return start + Fraction(packet.size // self.bytes, self.rate)

    def cut(self, packet: Packet, start: Fraction, length: Fraction | None) -> Packet | None:
        """What of a packet that begins at `start` lies within 0..length, seconds, to the nearest sample; None: nothing.

        length: None to the end."""
        count = packet.size // self.bytes
        first = max(0, round(-start * self.rate))
        last = count if length is None else min(count, round((length - start) * self.rate))
        if first >= last:
            return None
        if (first, last) == (0, count):
            return packet
        tick = packet.time_base
        kept = Packet(bytes(packet)[first * self.bytes : last * self.bytes])
        kept.pts = kept.dts = round((start + Fraction(first, self.rate)) / tick)
        kept.duration = max(1, round(Fraction(last - first, self.rate) / tick))
        kept.time_base, kept.is_keyframe = tick, True
        return kept
