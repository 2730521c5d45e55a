"""Text subtitles (SRT, ASS, WebVTT) for MP4 and MOV, which know 3GPP timed text alone: FFmpeg's mov_text.

Its packets are the length of a text in two bytes, and the text. One follows the other; what is on at once becomes lines
of one. FFmpeg decodes each kind to ASS, whose marks are taken out here: what a text looks like is lost.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import NamedTuple, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

KINDS = ("subrip", "ass", "webvtt", "text")
MILLISECOND = Fraction(1, 1000)
LONGEST = 2**16 - 1  # bytes of a text
UNTOLD_S = 3  # seconds for which a text is on that does not say for how long
FIELDS = 8  # of an event of FFmpeg's ASS, before its text
DRAWING = re.compile(r"\{[^}]*\\p[1-9][^}]*\}.*?(?=\{[^}]*\\p0[^}]*\}|$)", re.DOTALL)  # shapes, as words of a text
MARK = re.compile(r"\{[^}]*\}")
TAG = re.compile(r"</?[A-Za-z][^>]*>")
# What FFmpeg makes the track's own style of.
HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


class Cue(NamedTuple):
    """A text, and from when to when it is on, in ticks of its stream."""

    start: int
    end: int
    text: str


def is_retold(stream: Stream, container: str) -> bool:
    """Whether a stream comes along as plain text, and not packet for packet."""
    return container in ("mp4", "mov") and is_text(stream) and stream.codec_context.codec.canonical_name in KINDS


def is_text(stream: Stream) -> bool:
    """Whether it has subtitles that are no pictures."""
    known = isinstance(stream, SubtitleStream) and stream.codec_context is not None
    return known and stream.codec_context.codec.text_sub


def add_text(target: OutputContainer, stream: Stream) -> Stream:
    """A stream of the target that takes the packets of `retold`."""
    copy = target.add_stream("mov_text")
    copy.codec_context.subtitle_header = HEADER
    copy.time_base = stream.time_base or MILLISECOND
    return copy


def retold(packets: Iterable[Packet], stream: Stream, loses: Callable[[], None] = lambda: None) -> Iterator[Packet]:
    """Packets of a stream that `is_retold`, in their order, as mov_text. loses: called where one said how it looks."""
    for cue in one_by_one(_cues(packets, cast(SubtitleStream, stream), loses)):
        text = cue.text.encode()[:LONGEST].decode(errors="ignore").encode()
        packet = Packet(len(text).to_bytes(2, "big") + text)
        packet.pts = packet.dts = cue.start
        packet.duration = cue.end - cue.start
        packet.time_base = stream.time_base or MILLISECOND
        yield packet


def one_by_one(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues in the order of their starts -> such as do not overlap, from zero on."""
    on: list[Cue] = []
    now = 0
    for cue in chain(cues, [None]):
        start = None if cue is None else max(cue.start, now)
        while on:
            end = min(each.end for each in on)
            stop = end if start is None else min(end, start)
            if stop > now:
                yield Cue(now, stop, "\n".join(dict.fromkeys(each.text for each in on)))  # a shadow is the same again
                now = stop
            if start is not None and end > start:
                break
            on = [each for each in on if each.end > end]
        if cue is not None and start is not None:
            now = start
            on.append(cue)


def plain(event: str) -> str:
    """The text of an event of ASS, as FFmpeg's decoders give it."""
    text = MARK.sub("", DRAWING.sub("", event.split(",", FIELDS)[-1]))
    return text.replace("\\N", "\n").replace("\\n", " ").replace("\\h", "\u00a0").strip()


def _cues(packets: Iterable[Packet], stream: SubtitleStream, loses: Callable[[], None]) -> Iterator[Cue]:
    untold = round(UNTOLD_S / (stream.time_base or MILLISECOND))
    for packet in packets:
        if packet.pts is None or not packet.size:
            continue
        events = _events(packet, stream)
        if _has_look(packet, stream, events):
            loses()
        if text := "\n".join(filter(None, map(plain, events))):
            yield Cue(packet.pts, packet.pts + (packet.duration or untold), text)


def _has_look(packet: Packet, stream: SubtitleStream, events: Iterable[str]) -> bool:
    """Whether it says more of a text than its words: by marks, tags and WebVTT's places; ASS does so throughout."""
    is_marked = any(MARK.search(event) for event in events) or TAG.search(bytes(packet).decode(errors="replace"))
    is_placed = packet.has_sidedata("webvtt_settings")
    return bool(is_marked) or is_placed or stream.codec_context.codec.canonical_name == "ass"


def _events(packet: Packet, stream: SubtitleStream) -> list[str]:
    try:
        shown = stream.codec_context.decode2(packet) or ()
    except av.error.InvalidDataError:  # words in another encoding than UTF-8: better some strange letters than no text
        words = bytes(packet).decode(errors="replace").replace("\r\n", "\n")
        return [words if stream.codec_context.codec.canonical_name == "ass" else "," * FIELDS + TAG.sub("", words)]
    return [each.ass.decode(errors="replace") for each in shown if isinstance(each, AssSubtitle)]
