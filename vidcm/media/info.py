"""What a video file says about itself, found out before a long job starts."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidcm.core.errors import UserError
from vidcm.media.alpha import DECODERS
from vidcm.media.announced import cut_short, lacks_index
from vidcm.media.colour import Colour
from vidcm.media.deep import depth_of
from vidcm.media.hdr import Hdr
from vidcm.media.instants import Instants, Timestamps
from vidcm.media.orientation import Orientation
from vidcm.media.packets import Times, demux
from vidcm.media.pipes import is_pipe
from vidcm.media.sequence import ImageSequence
from vidcm.media.timeline import Clock, common_time_base, recognise, settle

SAMPLE = 300  # packets from whose timestamps the rate is recognised
REORDERING = 32  # the last so many of them may still have unseen neighbours
COUNT_FROM_ZERO = "matroska"  # containers whose stated duration may hold the time before the first frame too


class MediaWarning(UserWarning):
    """The file is damaged, and what can be read of it is read."""


@dataclass(frozen=True)
class StreamInfo:
    """Another stream of the file: audio, subtitle, data, attachment or a second video."""

    index: int
    type: str
    codec: str
    language: str | None


@dataclass(frozen=True)
class VideoInfo:
    """The main video stream of a file. Sizes in pixels, times in seconds on the container's own clock."""

    path: Path
    container: str
    codec: str
    width: int  # as coded, before the orientation is applied
    height: int
    orientation: Orientation
    sample_aspect: Fraction  # width of a pixel over its height, as coded
    pix_fmt: str
    bit_depth: int
    colour: Colour
    hdr: Hdr
    clock: Clock  # as the first packets tell; `timed_by` says what all of them do
    average_rate: Fraction  # frames per second; equals `rate` where that is not None
    time_base: Fraction
    start: Fraction  # instant of the first frame
    origin: Fraction  # instant that a copy starts counting from; 0 but for transport streams and parts of a file
    duration: Fraction | None  # what the container says; the end of the last frame is the truth
    frame_count: int | None  # what the container says
    stream_index: int
    others: tuple[StreamInfo, ...]
    skipped: Fraction = Fraction(0)  # seconds of pictures before `start`, in a part of a file
    interlaced: bool = False  # whether the first picture says it is

    @property
    def rate(self) -> Fraction | None:
        """Frames per second where constant (30000/1001 also from rounded timestamps), None if variable."""
        return self.clock.rate

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height as seen, pixels counted as square."""
        return self.orientation.size(self.width, self.height)

    @property
    def promised_end(self) -> Fraction | None:
        """Where the container says the pictures end, seconds; the earlier reading where its words have two."""
        if self.duration is None:
            return None
        readings = [self.start + self.duration]
        return min(readings + ([self.duration] if self.container.startswith(COUNT_FROM_ZERO) else []))

    def timed_by(self, found: Timestamps, stream: VideoStream) -> "VideoInfo":
        """The same with clock and average rate from all timestamps of the stream, of which there are some."""
        instants = Instants(found.rising(), self.time_base)
        end = instants[-1] + found.last_duration * self.time_base
        shown = instants[bisect_left(instants, self.start) :] or [self.start]
        clock = settle(self.clock, shown, end, self.time_base, _declared(stream))
        return replace(self, clock=clock, average_rate=clock.rate or _average(shown) or self.average_rate)

    def time_base_for(self, *steps: Fraction) -> Fraction:
        """A time base that holds the first instant, as a copy counts it, and whole numbers of `steps` from there on."""
        return common_time_base(self.start - self.origin, *steps)

    def part(self, start: Fraction) -> "VideoInfo":
        """What is left from the frame at `start` on, which a copy begins with at zero."""
        return replace(self, start=start, origin=start, skipped=start - self.start)

    def upright(self) -> "VideoInfo":
        """The same video with its orientation baked into the pixels."""
        width, height = self.display_size
        aspect = 1 / self.sample_aspect if self.orientation.transpose else self.sample_aspect
        return replace(self, width=width, height=height, sample_aspect=aspect, orientation=Orientation())


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what FFmpeg says about an unreadable file into one line for the user."""
    try:
        yield
    except (av.error.FFmpegError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(_cut_short(path) or f"{path}: cannot be read as video ({reason}); is it one?") from error


def _cut_short(path: Path) -> str | None:
    """Why so little of a file can be read, where that is why."""
    short = cut_short(path)
    if short is None:
        return None
    index = ", and not its index, without which --allow-truncated has nothing to take" if lacks_index(path) else ""
    return f"{path}: {short}{index}; copy it again"


def ffmpeg_name(path: Path) -> str:
    """A path as FFmpeg takes it for a file whatever it is called: `12:30.mp4` is no protocol named 12."""
    return f"file:{path}"


def check_exists(path: Path) -> None:
    """Raises UserError for what no reader could open."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a video file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")


def open_container(path: Path) -> InputContainer:
    """An opened file. Raises UserError for anything that is not a media file."""
    if isinstance(path, ImageSequence):
        options = {"framerate": str(path.rate), "start_number": str(path.first)}
        with readable(path):
            return av.open(path.ffmpeg_name, format="image2", options=options)
    check_exists(path)
    with readable(path):
        return av.open(ffmpeg_name(path), metadata_errors="replace")


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream to read: the first video that is not a cover picture."""
    shown = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    for stream in shown:
        if stream.codec_context is not None:
            return stream
    if shown:
        raise UserError(_cut_short(path) or f"{path}: no decoder knows its video; the codec is unknown, or damaged")
    kinds = ", ".join(sorted({stream.type for stream in container.streams}))
    kinds = f"{kinds} only" if kinds else "nothing at all"
    raise UserError(_cut_short(path) or f"{path}: holds no video ({kinds}): give a file with pictures")


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's own, but where FFmpeg's leaves out alpha: of WebM, which has it beside the pictures."""
    own = stream.codec_context
    if own.name not in DECODERS or stream.metadata.get("alpha_mode") != "1":
        return own
    decoder = cast(VideoCodecContext, av.CodecContext.create(DECODERS[own.name], "r"))
    decoder.thread_count, decoder.extradata = own.thread_count, own.extradata
    return decoder


def timestamps(path: Path, limit: int | None = None) -> Timestamps:
    """Those of the video packets that will be shown. Reads packets, decodes nothing.

    limit: stop after so many packets. Damage ends them where it lies.
    """
    found = Timestamps()
    if is_pipe(path):  # at an even rate, and read but once
        for ticks in range(SAMPLE):
            found.add(ticks, 1)
        return found
    with open_container(path) as container:
        stream = video_stream(container, path)
        try:
            times = Times(container, stream)
            for packet in demux(container, stream):
                pts = times.of(packet)
                if pts is not None and not packet.is_discard:
                    found.add(pts, packet.duration)
                if limit is not None and len(found) >= limit:
                    break
        except av.error.FFmpegError:
            pass
    return found


def describe(path: Path, container: InputContainer, stream: VideoStream, first: av.VideoFrame) -> VideoInfo:
    """VideoInfo of an open file and its first decoded frame."""
    tick = stream.time_base or Fraction(1, 1000)
    instants = Instants(timestamps(path, SAMPLE).rising(), tick)
    instants = instants[:-REORDERING] if len(instants) == SAMPLE else instants
    start = (first.pts or 0) * tick
    shown = instants[bisect_left(instants, start) :] or [start]
    clock = recognise(shown, tick, _declared(stream))
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=first.width,
        height=first.height,
        orientation=Orientation.of(first),
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        pix_fmt=first.format.name,
        bit_depth=depth_of(first.format.name),
        colour=Colour.of(first),
        hdr=Hdr.of(first),
        clock=clock,
        average_rate=clock.rate or _average(shown) or stream.average_rate or Fraction(25),
        time_base=tick,
        start=start,
        origin=_origin(container, start, clock.step),
        duration=_duration(container, stream),
        frame_count=stream.frames or None,
        stream_index=stream.index,
        others=tuple(_other(each) for each in container.streams if each.index != stream.index),
        interlaced=bool(first.interlaced_frame),
    )


def _origin(container: InputContainer, start: Fraction, step: Fraction) -> Fraction:
    """Transport streams begin at any time of the day; a copy at 0, or up to a frame later if sound comes first."""
    if not container.format.flags & cast(int, Flags.ts_discont.value):
        return Fraction(0)
    starts = [each.start_time * each.time_base for each in container.streams if each.start_time and each.time_base]
    lead = start - min([start, *starts])
    return start - math.ceil(lead / step) * step


def _declared(stream: VideoStream) -> list[Fraction]:
    return [rate for rate in (stream.guessed_rate, stream.base_rate, stream.average_rate) if rate]


def _average(instants: Sequence[Fraction]) -> Fraction | None:
    return (len(instants) - 1) / (instants[-1] - instants[0]) if len(instants) > 1 else None


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _other(stream: av.stream.Stream) -> StreamInfo:
    return StreamInfo(stream.index, stream.type, getattr(stream, "name", None) or "unknown", stream.language)
