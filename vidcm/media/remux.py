"""Taking a file's other streams along, packet for packet: audio, subtitles, attachments, chapters.

Each stream is read through an opening of its own, just as far as the pictures have got, so that memory stays flat even
where the input is badly interleaved.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from vidcm.core.errors import UserError
from vidcm.media.info import VideoInfo, open_container

if TYPE_CHECKING:  # a name that only PyAV's stubs know
    from av.container.core import Chapter

COPIED = ("audio", "subtitle", "attachment")


class StreamCopy:
    """One stream on its way from an input, named `path`, to an output."""

    def __init__(
        self, path: Path, source: InputContainer, index: int, target: OutputContainer, origin: Fraction
    ) -> None:
        stream = source.streams[index]
        self._name, self._target = f"{path}: its {stream.type} stream {index}", target
        self._stream = _add(target, stream)
        self._origin = round(origin / stream.time_base) if stream.time_base else 0
        self._packets = self._read(source, stream)
        self._ahead = self._next()

    def advance(self, until: Fraction | None) -> None:
        """Write the packets up to this time of the output, in seconds; all that are left without one."""
        while self._ahead is not None and (until is None or self._time(self._ahead) <= until):
            self._ahead.stream = self._stream
            with self._blaming(av.error.InvalidDataError, av.error.ArgumentError):  # no fault of the disk's
                self._target.mux_one(self._ahead)
            self._ahead = self._next()

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
        for packet in source.demux(stream) if stream.type != "attachment" else ():
            if packet.size == 0 and packet.pts is None:
                continue  # the end mark
            packet.pts = None if packet.pts is None else packet.pts - self._origin
            packet.dts = None if packet.dts is None else packet.dts - self._origin
            yield packet


class Remux:
    """All streams of `path` but its main video, on their way into `target`. dropped: those left out, and why."""

    def __init__(self, path: Path, info: VideoInfo, target: OutputContainer) -> None:
        self._open = ExitStack()
        self._copies: list[StreamCopy] = []
        self.dropped: list[str] = []
        with open_container(path) as source:
            target.metadata.update(_carried(source.metadata))
            target.set_chapters([_moved(chapter, info.origin) for chapter in source.chapters()])
            for stream in source.streams:
                if stream.index != info.stream_index:
                    self._plan(path, stream, target, info.origin)

    def advance(self, until: Fraction | None) -> None:
        """Write all packets up to this time of the output, in seconds; all that are left without one."""
        for copy in self._copies:
            copy.advance(until)

    def close(self) -> None:
        self._open.close()

    def _plan(self, path: Path, stream: Stream, target: OutputContainer, origin: Fraction) -> None:
        reason = _why_not(stream, target.format.name)
        if reason is None:
            own = self._open.enter_context(open_container(path))
            self._copies.append(StreamCopy(path, own, stream.index, target, origin))
        else:
            name = getattr(stream, "name", None) or "unknown"
            self.dropped.append(f"{stream.type} stream {stream.index} ({name}): {reason}")


def _add(target: OutputContainer, stream: Stream) -> Stream:
    copy = target.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(_carried(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _why_not(stream: Stream, container: str) -> str | None:
    """Why a stream cannot come along, or None if it can: found out by writing a header with it alone."""
    if stream.type == "video":
        return "a cover picture" if stream.disposition & Disposition.attached_pic else "a second video"
    if stream.type not in COPIED:
        return "carries data that belongs to the original recording"
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            _add(trial, stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return f"{container} cannot hold it"
    return None


def _carried(metadata: dict[str, str]) -> dict[str, str]:
    """What still holds in another file; brands, encoder and sizes are the muxer's own business."""
    stale = ("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "duration")
    return {
        key: text
        for key, text in metadata.items()
        if key.lower() not in stale and not key.upper().startswith(("NUMBER_OF_", "BPS", "DURATION", "_STATISTICS"))
    }


def _moved(chapter: "Chapter", origin: Fraction) -> "Chapter":
    shift = round(origin / (chapter["time_base"] or 1))
    moved = chapter.copy()
    moved["start"], moved["end"] = chapter["start"] - shift, chapter["end"] - shift
    return moved
