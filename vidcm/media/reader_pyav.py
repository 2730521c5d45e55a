"""The PyAV backend: every format FFmpeg reads, any length, a few frames in memory."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vidcm.core.errors import UserError
from vidcm.media.alpha import alpha_of
from vidcm.media.announced import cut_short
from vidcm.media.colour import LIMITED, Converter
from vidcm.media.deep import overshoots
from vidcm.media.info import MediaWarning, decoder_of, describe, open_container, readable, video_stream
from vidcm.media.light import is_coloured, light_of
from vidcm.media.names import has_alpha
from vidcm.media.packets import Times, demux
from vidcm.media.pipes import CUT_SHORT, FORMAT, Counted, is_pipe
from vidcm.media.reader import VideoFrame, VideoReader

SHORT_BY = 2  # frames by which a file may end early before it counts as truncated
JUMP_BACK_S = 1  # timestamps that go back by more are those of another recording
# Seconds before the target at which a seek is tried, in turn.
REACHES = (Fraction(0), Fraction(1, 2), Fraction(2), Fraction(10))


class PyAVReader(VideoReader):
    def __init__(self, path: Path, *, rotate: bool = True, threads: int | None = None) -> None:
        self.problems: list[str] = []
        self._path, self._rotate, self.threads = path, rotate, threads
        self._picture_bytes = 0
        self._late: list[Fraction] = []  # after which instants frames did not advance in time
        self._container, self._stream = self._open()
        try:
            with readable(path):
                self._decoded = self._decode()
                first = next(self._decoded, None)
                if first is None:
                    raise UserError(f"{path}: no frame of its video can be decoded; the file is damaged or cut short")
                self.info = describe(path, self._container, self._stream, first)
        except BaseException:
            self._container.close()
            raise
        self._converter = Converter(self.info.colour, self.info.width, self.info.height)
        self._ahead: av.VideoFrame | None = first
        self._index = 0
        if self._times.is_raw and self._times.are_counted:
            rate = float(self.info.average_rate)
            self._report(f"holds no times: its pictures are taken as {rate:.6g} a second, which a container would say")

    def __iter__(self) -> Iterator[VideoFrame]:
        while (frame := self._next()) is not None:
            yield frame

    def seek(self, instant: Fraction) -> VideoFrame:
        if is_pipe(self._path):
            raise UserError("what is piped in can be read only once: leave --range, --preview and --repair out")
        index = self.index_at(instant)
        target = self.timeline.instants[index]
        for reach in () if self._times.are_counted else REACHES:
            if target - reach > self.info.start:
                frame = self._landed(target, reach, index)
                if frame is not None:
                    return frame
        return self._from_start(target)

    def close(self) -> None:
        self._container.close()

    def _landed(self, target: Fraction, reach: Fraction, index: int) -> VideoFrame | None:
        """Seek `reach` seconds before the target and decode up to it. None if that does not lead to the very frame.

        What comes before the first key frame in display order may refer to skipped frames, so it is not trusted.
        """
        at = round((target - reach) / self.info.time_base)
        try:
            self._container.seek(at, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            return None
        self._decoder.flush_buffers()
        self._decoded, trusted = self._decode(), False
        for native in self._decoded:
            trusted = trusted or native.key_frame
            exact = self._instant(native)
            if exact > target or (exact == target and not trusted):
                return None
            if exact == target:
                self._ahead, self._index = native, index
                return self._next()
        return None

    def _from_start(self, target: Fraction) -> VideoFrame:
        """Decode from the first frame: slow, always right."""
        self._container.close()
        self._container, self._stream = self._open()
        self._decoded = self._decode()
        self._ahead, self._index = next(self._decoded), 0
        for frame in self:
            if frame.instant + frame.duration > target or self._ahead is None:
                return frame
        raise UserError(f"{self._path}: no frame at {float(target):.3f} s can be decoded")

    def _next(self) -> VideoFrame | None:
        """The frame at hand, once the one after it has told how long it lasts."""
        native = self._ahead
        if native is None:
            return None
        instant = self._instant(native)
        self._ahead = self._following(instant)
        end = self._instant(self._ahead) if self._ahead is not None else self._end(native)
        is_deep = self.info.bit_depth > 8 or (self._converter.colour.range == LIMITED and overshoots(native))
        deep = (lambda: self._upright(self._converter.to_deep_rgb(native))) if is_deep else None
        rgb = lambda: self._upright(self._converter.to_rgb(native))  # noqa: E731
        name = native.format.name
        light = (lambda: self._upright(light_of(native))) if is_coloured(name) else None
        cover = (lambda: self._upright(alpha_of(native))) if has_alpha(name) and light is None else None
        frame = VideoFrame(self._index, instant, end - instant, rgb, native, deep, cover, light)
        self._index += 1
        return frame

    def _following(self, instant: Fraction) -> av.VideoFrame | None:
        """The next decoded frame that is shown later than `instant` and has the size of the first."""
        for native in self._decoded:
            if (native.width, native.height) != (self.info.width, self.info.height):
                raise UserError(
                    f"{self._path}: the picture changes from {self.info.width}x{self.info.height} to "
                    f"{native.width}x{native.height} at {float(instant):.2f} s; split it there"
                )
            found = self._instant(native)
            if found > instant:
                return native
            if instant - found > JUMP_BACK_S:
                raise UserError(
                    f"{self._path}: its time jumps back from {float(instant):.2f} s to {float(found):.2f} s, as where "
                    "recordings were joined; split it there, or remux each into .mp4 or .mkv and join those"
                )
            self._late.append(instant)
        self._check_late()
        self._check_end(instant)
        return None

    def _instant(self, native: av.VideoFrame) -> Fraction:
        if native.pts is None:
            raise UserError(f"{self._path}: its frames carry no timestamps; remux it into .mp4 or .mkv first")
        return self.info.clock.exact(native.pts * self.info.time_base)

    def _end(self, last: av.VideoFrame) -> Fraction:
        """When the last frame ends: by its own duration, else by the frame rate."""
        if last.duration and last.pts is not None:
            return self.info.clock.exact((last.pts + last.duration) * self.info.time_base)
        return self._instant(last) + 1 / self.info.average_rate

    def _upright(self, picture: np.ndarray) -> np.ndarray:
        return self.info.orientation.upright(picture) if self._rotate else picture

    def _open(self) -> tuple[InputContainer, VideoStream]:
        if is_pipe(self._path):
            self._piped = Counted()
            try:
                container = av.open(self._piped, "r", format=FORMAT)
            except (av.error.FFmpegError, EOFError) as error:
                raise UserError(f"{self._path}: {self._piped.amiss}") from error
        else:
            container = open_container(self._path)
        try:
            stream = video_stream(container, self._path)
        except UserError:
            container.close()
            raise
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = self.threads or 0
        self._decoder = decoder_of(stream)
        self._times = Times(container, stream)
        return container, stream

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames from where the container stands. Damaged packets are reported and skipped."""
        packets, times = demux(self._container, self._stream), self._times
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._report(f"reading stops early: {error.strerror}")
                packet = None
            if packet is None:
                return
            times.send(packet)
            self._picture_bytes = packet.size or self._picture_bytes
            try:
                for frame in self._decoder.decode(packet):
                    times.tell(frame)
                    yield frame
            except av.error.FFmpegError:
                self._report("a damaged packet was skipped")

    def _check_late(self) -> None:
        if self._late:
            count, first = len(self._late), float(self._late[0])
            self._report(f"left out for not advancing in time: {count} of its frames, the first after {first:.3f} s")

    def _check_end(self, last: Fraction) -> None:
        """A file with fewer bytes than it says, or whose index promises more than was found, is cut short.

        A length of sound and all promises nothing.
        """
        if is_pipe(self._path) and self._piped.is_cut_short(self._picture_bytes):
            self._report(CUT_SHORT)
        if any("cut short" in problem for problem in self.problems):
            return  # told before
        if short := cut_short(self._path):
            self._report(short)
            return
        promised = self.info.promised_end
        if self._stream.duration is None or promised is None or self.info.container.startswith(("mpeg", "avi")):
            return
        missing = promised - last - (SHORT_BY + 1) / self.info.average_rate
        if missing > 0 and missing > (promised - self.info.start) / 50:
            self._report(f"is cut short: it ends at {float(last):.2f} s of {float(promised):.2f} s")

    def _report(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            warnings.warn(f"{self._path}: {problem}", MediaWarning, stacklevel=2)
