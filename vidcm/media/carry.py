"""What of a file's other streams and words a container can hold, found out by trying it in memory."""

import io
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import AttachmentStream, DataStream, Disposition, Stream

from vidcm.media.channels import is_named, layout_of
from vidcm.media.info import open_container
from vidcm.media.marks import say
from vidcm.media.packets import demux
from vidcm.media.pcm import Pcm
from vidcm.media.text import add_text, is_retold
from vidcm.media.timecode import DROP_FRAME
from vidcm.media.trial import trial


def add(target: OutputContainer, stream: Stream) -> Stream:
    """A stream of the target that takes this one's packets, or what `text.retold` makes of them."""
    is_told = is_retold(stream, target.format.name)
    copy = add_text(target, stream) if is_told else target.add_stream_from_template(stream, opaque=True)
    if isinstance(stream, AudioStream) and isinstance(copy, AudioStream) and target.format.name == "mp4":
        layout = layout_of(stream)
        if layout != stream.codec_context.layout.name:  # MP4 has no PCM of channels without names
            copy.codec_context.layout = layout
    say(copy, stream, target.format.name)
    return copy


def why_not(path: Path, stream: Stream, container: str) -> str | None:
    """Why a stream of `path` cannot come along packet for packet, or None if it can."""
    held, refusal = io.BytesIO(), f"{container} cannot hold it"
    if isinstance(stream, AudioStream) and Pcm.of(stream) and container != "mov":
        refusal += ", .mov can" if why_not(path, stream, "mov") is None else ""
        if container == "mp4" and not is_named(layout_of(stream)):
            return refusal
    try:
        if stream.type == "attachment":
            with trial(container, lambda target, _: add(target, stream)) as back:
                return None if len(back.streams) == 2 else refusal
        with av.open(held, "w", format=container) as target:
            add(target, stream)
            target.start_encoding()
        if isinstance(stream, DataStream) and not _comes_back(path, stream.index, container):
            return refusal
    except (av.error.FFmpegError, ValueError):
        return refusal
    return None


def is_empty(path: Path, index: int) -> bool:
    """Whether a stream has no packets, such as MP4's text track of chapters, which are chapters already."""
    with open_container(path) as source:
        return all(packet.size == 0 for packet in demux(source, source.streams[index]))


def _comes_back(path: Path, index: int, container: str) -> bool:
    """Whether a data stream's packet is still one of data when it is read back."""
    held = io.BytesIO()
    with open_container(path) as source, av.open(held, "w", format=container) as target:
        copy = add(target, source.streams[index])
        packet = next(packet for packet in demux(source, source.streams[index]) if packet.size)
        packet.pts, packet.dts, packet.stream = 0, 0, copy
        target.mux(packet)
    held.seek(0)
    with av.open(held) as back:
        return [stream.type for stream in back.streams] == ["data"]


def is_cover(stream: Stream) -> bool:
    return bool(stream.type == "video" and stream.disposition & Disposition.attached_pic)


def cover_bytes(path: Path, index: int) -> bytes:
    """The picture itself, as it was compressed."""
    with open_container(path) as source:
        return next((bytes(packet) for packet in demux(source, source.streams[index]) if packet.size), b"")


def attach_cover(target: OutputContainer, stream: Stream, picture: bytes) -> AttachmentStream:
    """Matroska has covers among its attachments, and tells them by their name."""
    kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
    ending = {"jpeg": "jpg"}.get(kind, kind)
    given = {key.lower(): text for key, text in stream.metadata.items()}
    return target.add_attachment(
        given.get("filename", f"cover.{ending}"), given.get("mimetype", f"image/{kind}"), picture
    )


def timecode_of(metadata: Iterable[Mapping[str, str]]) -> str | None:
    """The timecode of the first frame, wherever the file says it."""
    found = (text for each in metadata for key, text in each.items() if key.lower() == "timecode")
    return next(found, None)


def timecode_at(timecode: str, source_rate: Fraction, target_rate: Fraction, skipped: int = 0) -> str | None:
    """The instant `skipped` source frames behind a timecode, counted in another rate's frames; None if that cannot be.

    Drop-frame timecodes fit multiples of 30000/1001 alone, and are not moved.
    """
    parts = re.fullmatch(r"(\d+):(\d\d):(\d\d)([:;.,])(\d+)", timecode)
    if parts is None or (parts[4] != ":" and (skipped or (target_rate / DROP_FRAME).denominator != 1)):
        return None
    nominal = max(1, round(source_rate))
    hours, minutes, seconds, _, frames = parts.groups()
    passed = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    whole, frame = divmod(passed * nominal + int(frames) + skipped, nominal)
    clock = f"{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{clock}{parts[4]}{frame * round(target_rate) // nominal:02}"
