"""Writing video: frames at exact instants, source pictures untouched, the other streams copied, all or nothing.

    with open_reader(source, rotate=False) as reader, VideoWriter(target, reader.info, copy_from=source) as writer:
        for frame in reader:
            writer.write(frame, frame.instant, frame.duration)

The file grows under a temporary name in the target folder and gets its own name when it is whole.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidcm.core.errors import UserError
from vidcm.media.chip_memory import device_of
from vidcm.media.choice import choose
from vidcm.media.encoders import container_for
from vidcm.media.encoding import Encoding, Pictures, telling
from vidcm.media.hardware import SOFTWARE
from vidcm.media.hdr import lost
from vidcm.media.info import VideoInfo
from vidcm.media.matroska import tell_aspect
from vidcm.media.orientation import Orientation
from vidcm.media.pace import AS_IT_IS, Pace
from vidcm.media.parts import DecodingOrder, Stamp, packets, stamps
from vidcm.media.pipes import is_pipe
from vidcm.media.place import discard, first_number, opened_as, publish, reserve
from vidcm.media.reader import VideoFrame
from vidcm.media.remux import Remux, left_behind
from vidcm.media.sequence import as_path
from vidcm.media.target import check_target
from vidcm.media.window import Window

GREEDY = ("libsvtav1", "libvpx-vp9")  # encoders that take their memory when they open


class VideoWriter:
    """Encodes frames into `path`. Raises UserError if that cannot work, at once where it can be known at once.

    info: what the pictures are: size, orientation (stored, not applied), aspect, colours, pixel format.
    time_base: seconds per tick, to hold every instant exactly; by default it holds the source's own (see
    `timeline.common_time_base`). Matroska and WebM round to milliseconds whatever is asked for.
    rate: average frames per second as the container states it; it also steers the encoder.
    codec: one of `encoders.ENCODERS`; by default what the extension is known for, at the source's depth.
    quality: one of `encoders.QUALITIES`. encoder: software or hardware, see `choice.choose`.
    options: encoder options that replace ours, such as {"crf": "20", "preset": "veryfast"}.
    copy_from: the file whose audio, subtitles, attachments, chapters and titles come along.
    `dropped` tells what does not.
    window: the part of them to take, from `info.origin` on; None takes all. pace: how much slower everything is; what
    `write` is told stays on the source's clock. grow_in: the folder where it grows, a journal's; by default
    that of `path`.

    Pictures come by `write`, or encoded already, by `add_part`.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        time_base: Fraction | None = None,
        rate: Fraction | None = None,
        codec: str | None = None,
        quality: str | None = None,
        encoder: str = SOFTWARE,
        options: Mapping[str, str] | None = None,
        copy_from: str | Path | None = None,
        window: Window | None = None,
        pace: Pace = AS_IT_IS,
        grow_in: Path | None = None,
    ) -> None:
        is_alone = container_for(Path(path)).alone
        time_base = 1 / rate if is_alone and rate else time_base  # FFmpeg takes a tick of YUV4MPEG2 for a picture
        turn = info.orientation if is_alone else Orientation()
        info = info if turn.is_upright else info.upright()  # pictures alone cannot say how to turn them
        self.path, self.info = Path(path), info
        self.time_base = time_base or info.time_base_for(*((1 / rate,) if rate else info.clock.steps))
        self.choice = choose(self.path, info, codec, quality, encoder)
        container = self.choice.container
        check_target(self.path, [info.path, *([Path(copy_from)] if copy_from else [])], grow_in)
        rate = rate or info.average_rate
        self.encoding = Encoding(self.path, info, self.choice, self.time_base, rate, pace, options or {}, turn)
        self._pictures: Pictures | None = None
        self._order, self._is_begun, self._is_wanted = DecodingOrder(), False, True
        self._remux: Remux | None = None
        self._left: list[str] = []
        self._journal = grow_in
        self._temporary = reserve(self.path, grow_in)
        try:
            with telling(self.path):
                self._output: OutputContainer = av.open(
                    opened_as(self.path, self._temporary),
                    "w",
                    format=container.format,
                    options=container.options_for(self.time_base, first_number(info.path)),
                )
                self._stream = self._add_video()
                if copy_from and is_pipe(as_path(copy_from)):
                    pass  # it was nothing but pictures
                elif copy_from and container.alone:
                    self._left = left_behind(as_path(copy_from), info)
                elif copy_from:
                    self._remux = Remux(as_path(copy_from), info, self._output, window, pace)
                self._output.start_encoding()
        except BaseException:
            self._abort()
            raise

    @property
    def dropped(self) -> list[str]:
        """What the target does not get, of the pictures and of `copy_from`, one line each with the reason."""
        pictures = [*self.choice.notes, *lost(self.choice.encoder.name, self.info.hdr)]
        return pictures + (self._remux.dropped if self._remux else []) + self._left

    @property
    def remarks(self) -> list[str]:
        """What else is worth telling of what comes along from `copy_from`."""
        return self._remux.remarks if self._remux else []

    def write(self, frame: VideoFrame | np.ndarray, instant: Fraction, duration: Fraction | None = None) -> None:
        """Show `frame` from `instant` on, in seconds on the source's clock, rising from call to call.

        frame: a source frame, whose native pixels go to the encoder as they are, or RGB [H, W, 3] in coded
        orientation, uint8 or float32 0..1, or RGBA where `choice.has_alpha`.
        duration: seconds; it counts for the last frame, any other lasts until the next one.
        """
        with telling(self.path):
            if self._pictures is None:
                self._pictures = self.encoding.pictures()
            self._mux(self._pictures.write(frame, instant, duration))
            if self._remux:
                self._remux.advance(self.encoding.pts(instant) * self.time_base)

    def add_part(self, part: Path) -> None:
        """The pictures that follow, as `parts.PartWriter` wrote them down, encoded by `self.encoding`."""
        self.join(stamps(part), packets(part, self.time_base))

    def join(self, stamps: Iterable[Stamp], packets: Iterable[Packet]) -> None:
        """The pictures that follow, encoded by `self.encoding` or one like it; nothing before them is shown later."""
        with telling(self.path):
            times = self._order.times(list(stamps))
            for packet, dts in zip(packets, times, strict=True):
                packet.dts = dts
                self._mux([packet])
                if self._remux:
                    self._remux.advance((packet.pts or 0) * (packet.time_base or self.time_base))

    def finish(self) -> None:
        """Write what is left and give the file its name."""
        with telling(self.path):
            if self._pictures is not None:
                self._mux(self._pictures.finish())
            if not self._is_begun:
                raise UserError(f"{self.path}: there was no frame to write")
            if self._remux:
                self._remux.advance(None)
                self._remux.close()
            self._output.close()
            if self.info.sample_aspect != 1 and self._output.format.name in ("matroska", "webm"):
                size, aspect = (self.info.width, self.info.height), self.info.sample_aspect
                if not tell_aspect(self._temporary, size, aspect):
                    self._left.append(f"pixels of {aspect}: the file has no place for them (write .mp4 or .mov)")
            publish(self.path, self._temporary, self._journal)

    def abandon(self) -> None:
        """Write nothing after all."""
        self._is_wanted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._is_wanted:
                self.finish()
        finally:
            self._abort()

    def _add_video(self) -> VideoStream:
        """With an encoder that makes the header, and nothing else: pictures have theirs."""
        encoding, name = self.encoding, self.choice.encoder.name
        rate = encoding.rate.limit_denominator(1_000_000)
        device = device_of(self.choice.encoder.memory)
        stream = cast(VideoStream, self._output.add_stream(name, rate=rate, hwaccel=device))
        encoding.set_up(stream.codec_context)
        stream.time_base = self.time_base
        if name in GREEDY:
            stream.codec_context.options = {**stream.codec_context.options, "threads": "1"}
        if not self.info.orientation.is_upright:
            stream.set_display_matrix(self.info.orientation.display_matrix())
        return stream

    def _mux(self, packets: list[Packet]) -> None:
        self._is_begun = self._is_begun or bool(packets)
        for packet in packets:
            packet.stream = self._stream
        self._output.mux(packets)

    def _abort(self) -> None:
        """Leave nothing behind. Does nothing to a finished file."""
        if self._remux:
            self._remux.close()
        with suppress(av.error.FFmpegError, OSError, AttributeError):
            self._output.close()
        discard(self._temporary)
