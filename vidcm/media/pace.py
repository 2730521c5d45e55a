"""Slow motion of all that is beside the pictures: what becomes of times and sound in a file that lasts longer."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # PyAV takes longer to import than an option takes to be refused
    from av.container.core import Chapter
    from av.packet import Packet

SOUNDS = STRETCH, DROP = "stretch", "drop"  # what may become of it
TIMED_INSIDE = {"dvd_subtitle": "its pictures tell by themselves how long they are shown"}


@dataclass(frozen=True)
class Pace:
    """times: seconds of output for each second of the source, >= 1; sound: "stretch" (at its own pitch) or "drop"."""

    times: Fraction = Fraction(1)
    sound: str = STRETCH

    @property
    def is_slower(self) -> bool:
        return self.times != 1

    def why_not(self, kind: str, codec: str) -> str | None:
        """Why a stream of such a kind cannot be slowed down by moving its packets, or None if it can."""
        if not self.is_slower:
            return None
        if kind == "video":
            return "a second video gets no in-betweens, and would stutter"
        return TIMED_INSIDE.get(codec)

    def packets(self, packets: Iterator["Packet"]) -> Iterator["Packet"]:
        """Each with its start and its end at `times` the distance from zero. Times are on the output's clock."""
        for packet in packets:
            if packet.pts is not None:
                end = packet.pts + (packet.duration or 0)
                packet.pts = round(packet.pts * self.times)
                packet.duration = round(end * self.times) - packet.pts if packet.duration else 0
            packet.dts = None if packet.dts is None else round(packet.dts * self.times)
            yield packet

    def chapters(self, chapters: list["Chapter"]) -> list["Chapter"]:
        """The same of chapters."""
        return [
            {**each, "start": round(each["start"] * self.times), "end": round(each["end"] * self.times)}
            for each in chapters
        ]


AS_IT_IS = Pace()
