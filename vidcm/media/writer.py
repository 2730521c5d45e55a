"""Writing video: frames at exact instants, source pictures untouched, the other streams copied, all or nothing.

    with open_reader(source, rotate=False) as reader, VideoWriter(target, reader.info, copy_from=source) as writer:
        for frame in reader:
            writer.write(frame, frame.instant, frame.duration)

The file grows under a temporary name in the target folder and gets its own name when it is whole.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from vidcm.core.errors import UserError
from vidcm.media.choice import choose
from vidcm.media.colour import FULL, RGB, Colour, Converter
from vidcm.media.encoders import container_for
from vidcm.media.hdr import lost, with_hdr
from vidcm.media.info import VideoInfo
from vidcm.media.orientation import Orientation
from vidcm.media.pace import AS_IT_IS, Pace
from vidcm.media.place import discard, first_number, opened_as, publish, reserve
from vidcm.media.reader import VideoFrame
from vidcm.media.remux import Remux, left_behind
from vidcm.media.sequence import as_path
from vidcm.media.sizes import Sizes
from vidcm.media.target import check_target
from vidcm.media.window import Window


@dataclass
class Held:
    """A picture that waits to learn how long it is shown. Times in ticks of the writer's time base."""

    picture: av.VideoFrame
    pts: int
    duration: int | None


class VideoWriter:
    """Encodes frames into `path`. Raises UserError if that cannot work, at once where it can be known at once.

    info: what the pictures are: size, orientation (stored, not applied), aspect, colours, pixel format.
    time_base: seconds per tick, to hold every instant exactly; by default it holds the source's own (see
    `timeline.common_time_base`). Matroska and WebM round to milliseconds whatever is asked for.
    rate: average frames per second as the container states it; it also steers the encoder.
    codec: one of `encoders.ENCODERS`; by default what the extension is known for, at the source's depth.
    quality: one of `encoders.QUALITIES`.
    options: encoder options that replace ours, such as {"crf": "20", "preset": "veryfast"}.
    copy_from: the file whose audio, subtitles, attachments, chapters and titles come along.
    `dropped` tells what does not; `sizes` how large the pictures are so far.
    window: the part of them to take, from `info.origin` on; None takes all. pace: how much slower everything is; what
    `write` is told stays on the source's clock.
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
        options: Mapping[str, str] | None = None,
        copy_from: str | Path | None = None,
        window: Window | None = None,
        pace: Pace = AS_IT_IS,
    ) -> None:
        self._turn = info.orientation if container_for(Path(path)).alone else Orientation()
        info = info if self._turn.is_upright else info.upright()  # pictures alone cannot say how to turn them
        self.path, self.info, self.pace, self.sizes = Path(path), info, pace, Sizes()
        self.time_base = time_base or info.time_base_for(*((1 / rate,) if rate else info.clock.steps))
        self.choice = choose(self.path, info, codec, quality)
        container = self.choice.container
        check_target(self.path, [info.path, *([Path(copy_from)] if copy_from else [])])
        self._converter = Converter(info.colour, info.width, info.height)
        self._held: Held | None = None
        self._last: int | None = None
        self._remux: Remux | None = None
        self._left: list[str] = []
        self._temporary = reserve(self.path)
        try:
            with self._telling():
                self._output: OutputContainer = av.open(
                    opened_as(self.path, self._temporary),
                    "w",
                    format=container.format,
                    options=container.options_for(self.time_base, first_number(info.path)),
                )
                self._stream = self._add_video(rate or info.average_rate, options or {})
                if copy_from and container.alone:
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
        return pictures + (self._remux.dropped if self._remux else self._left)

    def write(self, frame: VideoFrame | np.ndarray, instant: Fraction, duration: Fraction | None = None) -> None:
        """Show `frame` from `instant` on, in seconds on the source's clock, rising from call to call.

        frame: a source frame, whose native pixels go to the encoder as they are, or RGB [H, W, 3] in coded
        orientation, uint8 or float32 0..1.
        duration: seconds; it counts for the last frame, any other lasts until the next one.
        """
        with self._telling():
            pts = round((instant - self.info.origin) * self.pace.times / self.time_base)
            if self._held is not None and pts <= self._held.pts:
                raise UserError(
                    f"{self.path}: instants must rise by at least {self.time_base} s, and at {float(instant):.4f} s "
                    "two frames fall together; remux the input, or ask for a lower rate"
                )
            picture = self._picture(frame)
            self._encode_held(pts)
            ticks = None if duration is None else max(1, round(duration * self.pace.times / self.time_base))
            self._held = Held(picture, pts, ticks)

    def finish(self) -> None:
        """Write what is left and give the file its name."""
        if self._held is None:
            raise UserError(f"{self.path}: there was no frame to write")
        with self._telling():
            self._encode_held(None)
            self._output.mux(self._stream.encode(None))
            if self._remux:
                self._remux.advance(None)
                self._remux.close()
            self._output.close()
            publish(self.path, self._temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._abort()

    def _add_video(self, rate: Fraction, options: Mapping[str, str]) -> VideoStream:
        encoder, container = self.choice.encoder, self.choice.container
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to stderr by itself: errors only
        stream = cast(VideoStream, self._output.add_stream(encoder.name, rate=rate.limit_denominator(1_000_000)))
        stream.width, stream.height, stream.pix_fmt = self.info.width, self.info.height, self.choice.pix_fmt
        stream.options = {**with_hdr({**self.choice.options, **options}, encoder.name, self.info.hdr)}
        if encoder.tag and container.is_mp4:
            stream.codec_context.codec_tag = encoder.tag
        stream.time_base = stream.codec_context.time_base = self.time_base
        stream.codec_context.flags |= Flags.frame_duration.value  # durations go through the encoder, the last one too
        stream.codec_context.sample_aspect_ratio = self.info.sample_aspect
        colour = self._tags()
        stream.codec_context.color_range, stream.codec_context.colorspace = colour.range, colour.matrix
        stream.codec_context.color_primaries, stream.codec_context.color_trc = colour.primaries, colour.transfer
        if not self.info.orientation.is_upright:
            stream.set_display_matrix(self.info.orientation.display_matrix())
        return stream

    def _tags(self) -> Colour:
        """The source's colour tags; where RGB turned into YUV, the matrix it was done with; the other way, RGB's."""
        colour, known = self.info.colour, self.info.colour.resolved(self.info.width, self.info.height)
        was_rgb, is_rgb = (av.VideoFormat(name).is_rgb for name in (self.info.pix_fmt, self.choice.pix_fmt))
        if was_rgb == is_rgb:
            return colour
        matrix, range_ = (RGB, FULL) if is_rgb else (known.matrix, known.range)
        return replace(colour, matrix=matrix, range=range_)

    def _picture(self, frame: VideoFrame | np.ndarray) -> av.VideoFrame:
        """As the encoder takes it. A source frame in the encoder's format is passed on itself, not a copy."""
        if isinstance(frame, VideoFrame) and frame.native is not None and self._turn.is_upright:
            return self._converter.convert(frame.native, self.choice.pix_fmt)
        rgb = frame.samples if isinstance(frame, VideoFrame) else frame
        rgb = rgb if self._turn.is_upright else self._turn.upright(rgb)
        if rgb.shape != (self.info.height, self.info.width, 3) or rgb.dtype not in (np.uint8, np.float32):
            wanted = f"uint8 or float32 [{self.info.height}, {self.info.width}, 3]"
            raise ValueError(f"frames of {self.path} must be {wanted}, got {rgb.dtype} {list(rgb.shape)}")
        return self._converter.from_rgb(rgb, self.choice.pix_fmt)

    def _encode_held(self, next_pts: int | None) -> None:
        """Encode the waiting picture, now that the next one's time, or the end, is known."""
        held, self._held = self._held, None
        if held is None:
            return
        if next_pts is not None:
            duration = next_pts - held.pts
        else:
            duration = held.duration or (held.pts - self._last if self._last is not None else self._one_frame())
        self._last = held.pts
        with _stamped(held.picture, held.pts, duration, self.time_base) as picture:
            packets = self._stream.encode(picture)
        self.sizes.add(packets)
        self._output.mux(packets)
        if self._remux:
            self._remux.advance(held.pts * self.time_base)

    def _one_frame(self) -> int:
        return max(1, round(1 / (self.info.average_rate * self.time_base)))

    def _abort(self) -> None:
        """Leave nothing behind. Does nothing to a finished file."""
        if self._remux:
            self._remux.close()
        with suppress(av.error.FFmpegError, OSError, AttributeError):
            self._output.close()
        discard(self._temporary)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Encoder, muxer and disk errors in one line."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _stamped(picture: av.VideoFrame, pts: int, duration: int, time_base: Fraction) -> Iterator[av.VideoFrame]:
    """The picture with the output's time and without a wish for its frame type, for as long as it is being encoded."""
    before = picture.pts, picture.duration, picture.time_base or time_base, picture.pict_type
    picture.pts, picture.duration, picture.time_base, picture.pict_type = pts, duration, time_base, 0
    try:
        yield picture
    finally:
        picture.pts, picture.duration, picture.time_base, picture.pict_type = before
