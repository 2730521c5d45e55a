"""Cutting streams that are copied: PCM to the sample, subtitles to the instant, all else in whole packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.packet import Packet

from vidcm.media.pcm import Pcm
from vidcm.media.text import UNTOLD_S

if TYPE_CHECKING:  # a name that only PyAV's stubs know
    from av.container.core import Chapter

TEXT = "text"


@dataclass(frozen=True)
class Window:
    """From the output's zero on. length: seconds, None: to the end."""

    length: Fraction | None

    def packets(
        self,
        packets: Iterator[Packet],
        kind: str,
        has_edits: bool,
        pcm: Pcm | None = None,
        slip: Fraction = Fraction(0),
    ) -> Iterator[Packet]:
        """Those of the window; times are on the output's clock, and rise. pcm: where it is that; slip: seconds by which
        it is later than its packets say, whose ticks are coarse.

        kind: of the stream, TEXT of subtitles that are no pictures. has_edits: whether the container can hide what lies
        before zero. Then the packet of sound that is running at zero comes along, and the one before it, without which
        codecs with overlapping frames begin with a flaw.
        """
        if kind in (TEXT, "subtitle"):
            yield from self._subtitles(packets, UNTOLD_S if kind == TEXT else None)
            return
        with_run_in = has_edits and kind == "audio"
        run_in: Packet | None = None
        heard: Fraction | None = None  # until when, by the samples counted: clocks such as Matroska's round
        for packet in packets:
            start = _start(packet)
            if pcm is not None:
                start = pcm.settled(start + slip, packet, heard)
                heard = pcm.end(start, packet)
            if self.length is not None and start >= self.length:
                return
            if pcm is not None:
                if (kept := pcm.cut(packet, start, self.length)) is not None:
                    yield kept
            elif start >= 0 or (with_run_in and _end(packet) > 0):
                if run_in is not None and with_run_in:
                    yield run_in
                run_in = None
                yield packet
            else:
                run_in = packet

    def chapters(self, chapters: list["Chapter"]) -> list["Chapter"]:
        """Those that reach into the window, as far as they do."""
        kept = []
        for chapter in chapters:
            tick = chapter["time_base"] or Fraction(1)
            end = chapter["end"] if self.length is None else min(chapter["end"], round(self.length / tick))
            if max(chapter["start"], 0) < end:
                kept.append({**chapter, "start": max(chapter["start"], 0), "end": end})
        return kept  # type: ignore[return-value]

    def _subtitles(self, packets: Iterator[Packet], untold_s: int | None) -> Iterator[Packet]:
        """Each for as long as it is on within the window. untold_s: for how long one is that does not say so, seconds;
        None: until the next one, as those of Blu-rays."""
        standing: Packet | None = None
        for packet in packets:
            if _start(packet) < 0 and not packet.duration:
                standing = packet if untold_s is None or _start(packet) + untold_s > 0 else None
                continue
            if standing is not None and _start(packet) >= 0:
                yield _at_zero(standing)
            standing = None
            if self.length is not None and _start(packet) >= self.length:
                return
            yield from self._shown(packet)
        if standing is not None:
            yield _at_zero(standing)

    def _shown(self, packet: Packet) -> Iterator[Packet]:
        start, end = _start(packet), _end(packet)
        if end <= 0 and start < 0:
            return
        if self.length is not None:
            end = min(end, self.length)
        if packet.time_base and packet.duration:
            packet.pts = packet.dts = round(max(start, Fraction(0)) / packet.time_base)
            packet.duration = round(end / packet.time_base) - packet.pts
        yield packet


def heard(packets: Iterator[Packet], has_edits: bool) -> Iterator[Packet]:
    """Packets of sound without those that the input's edit list hides; times are on the output's clock.

    What is hidden before zero stays where the output's own edit list hides it. Elsewhere the last of those packets
    stays alone: decoders start on it, and it is the encoder's own run-in where nothing was cut. Hidden packets that
    follow heard ones lead up to another part of an edited track: theirs are times that were there already.
    """
    run_in: Packet | None = None
    is_heard = False
    for packet in packets:
        is_early = not is_heard and _start(packet) < 0
        if packet.is_discard and not (has_edits and is_early):
            run_in = packet if is_early else None
            continue
        if run_in is not None:
            yield run_in
            run_in = None
        is_heard = is_heard or not packet.is_discard
        yield packet


def _at_zero(packet: Packet) -> Packet:
    packet.pts = packet.dts = 0
    return packet


def _start(packet: Packet) -> Fraction:
    return (packet.pts if packet.pts is not None else packet.dts or 0) * (packet.time_base or Fraction(0))


def _end(packet: Packet) -> Fraction:
    return _start(packet) + (packet.duration or 0) * (packet.time_base or Fraction(0))
