"""One stream of a file on its way into another: packet by packet, and no further than the pictures have got.

Only slow motion touches packets: it moves times, and has sound decoded and encoded anew (`media/sound.py`); and text
becomes that of MP4 and MOV there (`media/text.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from vidcm.core.errors import UserError
from vidcm.media import carry, sound
from vidcm.media.pace import AS_IT_IS, Pace
from vidcm.media.packets import demux
from vidcm.media.pcm import Pcm
from vidcm.media.text import is_retold, is_text, retold
from vidcm.media.window import TEXT, Window, heard


class StreamCopy:
    """One stream on its way from an input, named `path`, to an output. lost: what did not come along, so far."""

    lost: str | None = None

    def __init__(
        self,
        path: Path,
        source: InputContainer,
        index: int,
        target: OutputContainer,
        origin: Fraction,
        window: Window | None = None,
        pace: Pace = AS_IT_IS,
    ) -> None:
        stream = source.streams[index]
        self._name, self._target = f"{path}: its {stream.type} stream {index}", target
        self._stream = carry.add(target, stream)
        self._origin = round(origin / stream.time_base) if stream.time_base else 0
        self._packets, has_edits = self._read(source, stream), target.format.name in ("mp4", "mov")
        if isinstance(stream, AudioStream):
            self._packets = heard(self._packets, has_edits)
        if window is not None and not carry.is_cover(stream):
            pcm = Pcm.of(stream) if isinstance(stream, AudioStream) else None
            slip = self._origin * (stream.time_base or 0) - origin
            kind = TEXT if is_text(stream) else stream.type
            self._packets = window.packets(self._packets, kind, has_edits, pcm, slip)
        if pace.is_slower and not carry.is_cover(stream):
            self._packets = pace.packets(self._packets)
        if is_retold(stream, target.format.name):
            told = f"styles of subtitle stream {index} ({stream.name}): {target.format.name} gets its text alone"
            self._packets = retold(self._packets, stream, partial(self._lose, told))
        self._ahead = self._next()

    def advance(self, until: Fraction | None) -> None:
        """Write the packets up to this time of the output, in seconds; all that are left without one."""
        while self._ahead is not None and (until is None or self._time(self._ahead) <= until):
            self._ahead.stream = self._stream
            with self._blaming(av.error.InvalidDataError, av.error.ArgumentError):  # no fault of the disk's
                self._target.mux_one(self._ahead)
            self._ahead = self._next()

    def _lose(self, what: str) -> None:
        self.lost = what

    def _next(self) -> Packet | None:
        with self._blaming(av.error.FFmpegError):
            return next(self._packets, None)

    @contextmanager
    def _blaming(self, *kinds: type[Exception]) -> Iterator[None]:
        """Names the input for what is wrong with its packets."""
        try:
            yield
        except kinds as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self._name} cannot be copied ({reason}); repair or remove it first") from error

    @staticmethod
    def _time(packet: Packet) -> Fraction:
        return (packet.dts if packet.dts is not None else packet.pts or 0) * (packet.time_base or Fraction(0))

    def _read(self, source: InputContainer, stream: Stream) -> Iterator[Packet]:
        """Packets with times on the output's clock."""
        for packet in demux(source, stream) if stream.type != "attachment" else ():
            if packet.size == 0 and packet.pts is None:
                continue  # the end mark
            packet.pts = None if packet.pts is None else packet.pts - self._origin
            packet.dts = None if packet.dts is None else packet.dts - self._origin
            yield packet


class SlowSound(StreamCopy):
    """A stream of sound on its way, the longer the slower the pictures are. Nothing is decoded before it is wanted."""

    def __init__(
        self,
        path: Path,
        source: InputContainer,
        index: int,
        target: OutputContainer,
        choice: sound.SoundChoice,
        origin: Fraction,
        window: Window | None,
        pace: Pace,
    ) -> None:
        stream = cast(AudioStream, source.streams[index])
        self._name, self._target = f"{path}: its audio stream {index}", target
        self._stream = sound.add_sound(target, stream, choice)
        length = None if window is None else window.length
        self._packets = sound.slowed(source, stream, self._stream, origin, length, pace.times)
        self._ahead = None

    def advance(self, until: Fraction | None) -> None:
        if self._ahead is None:
            self._ahead = self._next()
        super().advance(until)
