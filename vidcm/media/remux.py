"""Taking a file's other streams along, packet for packet: audio, subtitles, data, attachments, other videos, chapters.

Each stream is read through an opening of its own, just as far as the pictures have got (`media/copying.py`), so that
memory stays flat even where the input is badly interleaved.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import DataStream, Disposition, Stream

from vidcm.media import carry, sound
from vidcm.media.copying import SlowSound, StreamCopy
from vidcm.media.info import VideoInfo, open_container
from vidcm.media.marks import lost_marks, say
from vidcm.media.names import has_alpha
from vidcm.media.pace import AS_IT_IS, DROP, Pace
from vidcm.media.window import Window
from vidcm.media.words import lost_words
from vidcm.media.words import words as words_of

if TYPE_CHECKING:  # a name that only PyAV's stubs know
    from av.container.core import Chapter


class Remux:
    """All of `path` but its main video's pictures, on its way into `target`. remarks: what is worth telling.

    The target has its video stream already, which gets the main video's language, title and timecode. window: the part
    of it to take, on the source's clock from `info.origin` on, where the target's begins. pace: how much slower.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        target: OutputContainer,
        window: Window | None = None,
        pace: Pace = AS_IT_IS,
    ) -> None:
        self._path, self._info, self._target, self._window, self._pace = path, info, target, window, pace
        self._open = ExitStack()
        self._copies: list[StreamCopy] = []
        self._left_out: list[str] = []
        self.remarks: list[str] = []
        with open_container(path) as source:
            self._tell(source)
            for stream in source.streams:
                if stream.index != info.stream_index:
                    self._plan(source, stream)

    @property
    def dropped(self) -> list[str]:
        """What is left out, and why; of what packets alone tell, as far as they have been written."""
        return [copy.lost for copy in self._copies if copy.lost] + self._left_out

    def advance(self, until: Fraction | None) -> None:
        """Write all packets up to this time of the output, in seconds; all that are left without one."""
        for copy in self._copies:
            copy.advance(until)

    def close(self) -> None:
        self._open.close()

    def _tell(self, source: InputContainer) -> None:
        """Titles, chapters, language and timecode."""
        words, container = words_of(source.metadata), self._target.format.name
        self._target.metadata.update(words)
        if lost := lost_words(words, container):
            self._left_out.append(f"metadata {', '.join(sorted(lost))}: {container} has no place for it")
        chapters = [_moved(chapter, self._info.origin) for chapter in source.chapters()]
        chapters = self._window.chapters(chapters) if self._window else chapters
        self._target.set_chapters(self._pace.chapters(chapters))
        for video in self._target.streams.video[:1]:
            main = source.streams[self._info.stream_index]
            given = {key.lower(): text for key, text in main.metadata.items()}
            if given.get("alpha_mode") == "1" and not has_alpha(self._info.pix_fmt):
                self._left_out.append("alpha: it is a picture beside each picture in WebM, which is not decoded")
            say(video, main, container)
            self._tell_lost(main)
            self._tell_timecode([source.metadata, *(stream.metadata for stream in source.streams)], video)

    def _tell_timecode(self, metadata: Iterable[Mapping[str, str]], video: av.VideoStream) -> None:
        timecode = carry.timecode_of(metadata)
        if timecode is None:
            return
        rate, source_rate = video.codec_context.framerate, self._info.average_rate
        frames = round(self._info.skipped * source_rate)
        if moved := carry.timecode_at(timecode, source_rate, rate, frames):
            video.metadata["timecode"] = moved
        else:
            later = f" {frames} frames later" if frames else ""
            self._left_out.append(
                f"timecode {timecode}: it cannot be counted at {float(rate):.6g} frames per second{later}"
            )

    def _plan(self, source: InputContainer, stream: Stream) -> None:
        """Copy a stream, or say why not."""
        if isinstance(stream, DataStream) and self._is_told(source, stream):
            return
        if carry.is_cover(stream):
            reason = self._plan_cover(stream)
        elif isinstance(stream, AudioStream) and self._pace.is_slower:
            reason = self._plan_slow_sound(stream)
        else:
            reason = self._why_not(stream)
            if reason is None:
                self._copy(stream)
                if isinstance(stream, AudioStream):
                    self._remark(stream, sound.codec_of(stream))
        if reason is not None:
            name = getattr(stream, "name", None) or "unknown"
            self._left_out.append(f"{stream.type} stream {stream.index} ({name}): {reason}")
        elif stream.type in ("audio", "subtitle", "video"):
            self._tell_lost(stream)

    def _tell_lost(self, stream: Stream) -> None:
        """Name what is said of a stream that comes along, and has no place."""
        container = self._target.format.name
        if gone := lost_marks(stream, container):
            self._left_out.append(f"{stream.type} stream {stream.index}: {container} has no place for {gone}")

    def _why_not(self, stream: Stream) -> str | None:
        if stream.type == "video" and self._window is not None:
            return "a second video cannot be cut without encoding it anew"
        if reason := self._pace.why_not(stream.type, getattr(stream, "name", None) or "unknown"):
            return reason
        return carry.why_not(self._path, stream, self._target.format.name)

    def _is_told(self, source: InputContainer, stream: DataStream) -> bool:
        """Whether it says nothing but what is carried otherwise: a timecode, or the text of chapters."""
        is_timecode = "timecode" in {key.lower() for key in stream.metadata}
        return is_timecode or (bool(source.chapters()) and carry.is_empty(self._path, stream.index))

    def _plan_cover(self, stream: Stream) -> str | None:
        container = self._target.format.name
        if stream.disposition & Disposition.timed_thumbnails:
            return "pictures of chapters, which the chapters do without"
        if container == "matroska":
            carry.attach_cover(self._target, stream, carry.cover_bytes(self._path, stream.index))
        elif container == "mp4" and carry.why_not(self._path, stream, container) is None:
            self._copy(stream)
        else:
            return f"{container} cannot hold a cover picture of this kind"
        return None

    def _plan_slow_sound(self, stream: AudioStream) -> str | None:
        if self._pace.sound == DROP:
            return "slow motion was asked for without sound"
        choice = sound.choose_sound(stream, self._target.format.name)
        if choice is None:
            return f"{self._target.format.name} cannot hold sound like this"
        if note := sound.note_on(stream, choice):
            self._left_out.append(note)
        own = self._open.enter_context(open_container(self._path))
        origin = self._info.origin
        slow = SlowSound(self._path, own, stream.index, self._target, choice, origin, self._window, self._pace)
        self._copies.append(slow)
        self._remark(stream, choice.encoder)
        return None

    def _remark(self, stream: AudioStream, codec: str) -> None:
        if codec.startswith("pcm_") and self._target.format.name == "mp4":
            why = "stays uncompressed, which few players of MP4 know: .mov is safer"
            self.remarks.append(f"audio stream {stream.index} ({codec}) {why}")

    def _copy(self, stream: Stream) -> None:
        own = self._open.enter_context(open_container(self._path))
        origin = self._info.origin
        copy = StreamCopy(self._path, own, stream.index, self._target, origin, self._window, self._pace)
        self._copies.append(copy)


def left_behind(path: Path, info: VideoInfo) -> list[str]:
    """All of `path` but its main video's pictures, for a target that holds nothing else: what `Remux.dropped` is."""
    why = "the output holds pictures alone"
    lost = [f"{each.type} stream {each.index} ({each.codec}): {why}" for each in info.others]
    with open_container(path) as source:
        lost += [f"{len(source.chapters())} chapters: {why}"] if source.chapters() else []
        words = words_of(source.metadata)
    return lost + ([f"metadata {', '.join(sorted(words))}: {why}"] if words else [])


def _moved(chapter: "Chapter", origin: Fraction) -> "Chapter":
    shift = round(origin / (chapter["time_base"] or 1))
    moved = chapter.copy()
    moved["start"], moved["end"] = chapter["start"] - shift, chapter["end"] - shift
    return moved
