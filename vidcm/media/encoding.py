"""Pictures in, packets out: exact instants, and source pictures that go to the encoder as they are.

Any number of encoders made from one `Encoding` agree, so that a file may be encoded in parts.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from vidcm.core.errors import UserError
from vidcm.media.chip_memory import device_of
from vidcm.media.choice import Choice
from vidcm.media.colour import Converter
from vidcm.media.hdr import with_hdr
from vidcm.media.info import VideoInfo
from vidcm.media.orientation import Orientation
from vidcm.media.pace import Pace
from vidcm.media.pipes import is_pipe
from vidcm.media.reader import VideoFrame, samples_of

UNTIMED = 2  # pictures: of one or two, and no more, x265 gives decoding times out of uninitialised memory


@dataclass(frozen=True)
class Encoding:
    """All that an encoder is set up with. path: of the output, for messages; rate: average frames per second, which
    steers the encoder; options: see `VideoWriter`; turn: what is done to
    pictures that were coded as the source's are."""

    path: Path
    info: VideoInfo
    choice: Choice
    time_base: Fraction
    rate: Fraction
    pace: Pace
    options: Mapping[str, str]
    turn: Orientation

    def set_up(self, context: VideoCodecContext) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to stderr by itself: errors only
        encoder = self.choice.encoder
        context.width, context.height, context.pix_fmt = self.info.width, self.info.height, self.choice.pix_fmt
        context.options = {**with_hdr({**self.choice.options, **self.options}, encoder.name, self.info.hdr)}
        if encoder.tag and self.choice.container.is_mp4:
            context.codec_tag = encoder.tag
        context.time_base, context.framerate = self.time_base, self.rate.limit_denominator(1_000_000)
        context.flags |= Flags.frame_duration.value  # durations go through the encoder, the last one too
        context.sample_aspect_ratio = self.info.sample_aspect
        colour = self.choice.colour
        context.color_range, context.colorspace = colour.range, colour.matrix
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer

    def pictures(self) -> "Pictures":
        """A new encoder."""
        encoder = self.choice.encoder
        context = cast(VideoCodecContext, av.CodecContext.create(encoder.name, "w", device_of(encoder.memory)))
        context.bit_rate = 0  # FFmpeg's default would be a wish
        context.flags |= Flags.global_header.value  # as every container of ours wants it
        self.set_up(context)
        return Pictures(self, context)

    def pts(self, instant: Fraction) -> int:
        """An instant of the source's clock in ticks of the output's."""
        return round((instant - self.info.origin) * self.pace.times / self.time_base)

    def one_frame(self) -> int:
        """Ticks of a frame where nobody knows better."""
        return max(1, round(1 / (self.info.average_rate * self.time_base)))

    @cached_property
    def converter(self) -> Converter:
        return Converter(self.info.colour, self.info.width, self.info.height, self.choice.colour)

    def picture(self, frame: VideoFrame | np.ndarray) -> av.VideoFrame:
        """As the encoder takes it. A source frame in the encoder's format is passed on itself, not a copy."""
        if isinstance(frame, VideoFrame) and frame.native is not None and self.turn.is_upright:
            return self.converter.convert(frame.native, self.choice.pix_fmt)
        rgb = samples_of(frame, self.choice.has_alpha) if isinstance(frame, VideoFrame) else frame
        rgb = rgb if self.turn.is_upright else self.turn.upright(rgb)
        channels = (3, 4) if self.choice.has_alpha else (3,)
        size = (self.info.height, self.info.width)
        if rgb.shape not in [(*size, each) for each in channels] or rgb.dtype not in (np.uint8, np.float32):
            wanted = f"uint8 or float32 [{self.info.height}, {self.info.width}, 3]"
            raise ValueError(f"frames of {self.path} must be {wanted}, got {rgb.dtype} {list(rgb.shape)}")
        return self.converter.from_rgb(rgb, self.choice.pix_fmt)


@dataclass
class Held:
    """A picture that waits to learn how long it is shown. Times in ticks of the output's time base."""

    picture: av.VideoFrame
    pts: int
    duration: int | None


class Pictures:
    """An encoder at work. Packets come when it gives them, some pictures late."""

    def __init__(self, encoding: Encoding, context: VideoCodecContext) -> None:
        self.encoding, self._context = encoding, context
        self._held: Held | None = None
        self._last: int | None = None
        self._count = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written yet."""
        return self._held is None and self._last is None

    def write(
        self, frame: VideoFrame | np.ndarray, instant: Fraction, duration: Fraction | None = None
    ) -> list[Packet]:
        """See `VideoWriter.write`. Gives packets of earlier pictures."""
        encoding = self.encoding
        pts = encoding.pts(instant)
        if self._held is not None and pts <= self._held.pts:
            raise UserError(
                f"{encoding.path}: instants must rise by at least {encoding.time_base} s, and at {float(instant):.4f} "
                "s two frames fall together; remux the input, or ask for a lower rate"
            )
        picture = encoding.picture(frame)
        packets = self._encode_held(pts)
        ticks = None if duration is None else max(1, encoding.pts(instant + duration) - pts)
        self._held = Held(picture, pts, ticks)
        return packets

    def finish(self) -> list[Packet]:
        """What is left."""
        packets = [*self._encode_held(None), *self._context.encode(None)]
        if self._count <= UNTIMED and self.encoding.choice.encoder.name == "libx265":
            for packet in packets:
                packet.dts = packet.pts  # so few are never reordered
        return packets

    def _encode_held(self, next_pts: int | None) -> list[Packet]:
        """Encode the waiting picture, now that the next one's time, or the end, is known."""
        held, self._held = self._held, None
        if held is None:
            return []
        if next_pts is not None:
            duration = next_pts - held.pts
        else:
            guess = held.pts - self._last if self._last is not None else self.encoding.one_frame()
            duration = held.duration or guess
        self._last = held.pts
        return self.encode(held.picture, held.pts, duration)

    def encode(self, picture: av.VideoFrame, pts: int, duration: int) -> list[Packet]:
        """A picture as the encoder takes it, at a time in ticks."""
        self._count += 1
        with _stamped(picture, pts, duration, self.encoding.time_base) as stamped:
            return self._context.encode(stamped)


@contextmanager
def _stamped(picture: av.VideoFrame, pts: int, duration: int, time_base: Fraction) -> Iterator[av.VideoFrame]:
    """The picture with the output's time and without a wish for its frame type, for as long as it is being encoded."""
    before = picture.pts, picture.duration, picture.time_base or time_base, picture.pict_type
    picture.pts, picture.duration, picture.time_base, picture.pict_type = pts, duration, time_base, 0
    try:
        yield picture
    finally:
        picture.pts, picture.duration, picture.time_base, picture.pict_type = before


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Encoder, muxer and disk errors in one line."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if is_pipe(path) and error.errno == errno.EPIPE:
            raise BrokenPipeError(*error.args[:2]) from error  # the one who reads has had enough
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
