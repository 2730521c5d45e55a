"""Sound that lasts longer at its own pitch, through FFmpeg's `atempo`, decoded and encoded anew as it streams.

`atempo` finds overlapping pieces that fit each other (WSOLA) and keeps to the exact tempo over any length. One of them
slows down to a half at most, so several stand in a row. Gaps in the source's sound become silence first, so that what
is heard stays with the picture it belongs to.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.packet import Packet

from vidcm.core.errors import UserError
from vidcm.media.channels import layout_of
from vidcm.media.filters import link, pull
from vidcm.media.marks import say
from vidcm.media.packets import demux

SLOWEST = 2  # times that one atempo makes sound longer at most
HARD_GAP_S = 0.05  # gaps and overlaps from here on are filled and cut; shorter ones are rounded timestamps
# By so much, in the source's seconds, a short sound comes out of atempo too early (0.011 at 2 times, 0.012 at 2.5,
# 0.014 at 4): its pieces, 43 ms long, are laid by where they begin.
LEAD_S = Fraction(12, 1000)
TAIL_S = 1  # silence behind the end, which pushes the last sound out of the filters
RUN_IN_S = 1  # sound before the start of a part that is decoded as well: codecs overlap
ENCODERS = {"mp3": "libmp3lame", "opus": "libopus", "vorbis": "libvorbis"}  # others are called like their codec
USUAL = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus"}
LOSSLESS = ("flac", "alac", "pcm_", "wavpack", "tta", "truehd")
BITS_PER_CHANNEL = 96_000  # a second, where the source tells no rate


@dataclass(frozen=True)
class SoundChoice:
    """encoder: FFmpeg's name; rate: samples per second; layout: of the channels."""

    encoder: str
    rate: int
    layout: str


def codec_of(stream: AudioStream) -> str:
    """FFmpeg's name for the codec, whatever its decoder is called: mp3, not mp3float."""
    return str(stream.codec_context.codec.canonical_name)


def choose_sound(stream: AudioStream, container: str) -> SoundChoice | None:
    """How slowed sound is written: in the source's own codec, else the container's usual one; None: not at all."""
    name, layout = codec_of(stream), layout_of(stream)
    own = ENCODERS.get(name, name)
    for encoder in dict.fromkeys((own, USUAL[container])):
        for wanted in dict.fromkeys((layout, layout.partition("(")[0], "stereo")):
            rate = _nearest_rate(encoder, stream.codec_context.sample_rate)
            if rate is not None and _holds(container, choice := SoundChoice(encoder, rate, wanted)):
                return choice
    return None


def note_on(stream: AudioStream, choice: SoundChoice) -> str | None:
    """What of a stream of sound does not come along, beside its packets; None if nothing."""
    name, layout = codec_of(stream), layout_of(stream)
    changes = []
    if ENCODERS.get(name, name) != choice.encoder:
        changes.append(f"{name} is written as {choice.encoder}")
    if layout != choice.layout:
        changes.append(f"{layout} is mixed to {choice.layout}")
    return f"audio stream {stream.index}: slowed down, {' and '.join(changes)}" if changes else None


def add_sound(target: OutputContainer, stream: AudioStream, choice: SoundChoice) -> AudioStream:
    """A stream of the target for `stream`'s slowed sound."""
    sound = cast(AudioStream, target.add_stream(choice.encoder, rate=choice.rate, layout=choice.layout))
    if not codec_of(stream).startswith(LOSSLESS) and not choice.encoder.startswith(LOSSLESS):
        usual = BITS_PER_CHANNEL * stream.codec_context.layout.nb_channels
        sound.codec_context.bit_rate = stream.codec_context.bit_rate or usual
    say(sound, stream, target.format.name)
    return sound


def slowed(
    source: InputContainer,
    stream: AudioStream,
    sound: AudioStream,
    origin: Fraction,
    length: Fraction | None,
    by: Fraction,
) -> Iterator[Packet]:
    """Packets of `sound` with what `stream` says, `by` times as long, from the output's zero on.

    origin: seconds of the source's clock at zero; length: of the source, None: to the end. Raises UserError for sound
    that changes its kind in the middle.
    """
    frames = _decoded(source, stream, origin, length)
    place = 0
    for frame in _stretched(frames, sound, length, by):
        frame.pts, frame.time_base = place, Fraction(1, sound.codec_context.sample_rate)
        place += frame.samples
        yield from sound.encode(frame)
    if place:
        yield from sound.encode(None)


def _decoded(
    source: InputContainer, stream: AudioStream, origin: Fraction, length: Fraction | None
) -> Iterator[av.AudioFrame]:
    """Frames with times on the output's clock, in samples. What cannot be decoded leaves a gap."""
    tick = stream.time_base or Fraction(1, stream.codec_context.sample_rate)
    for packet in demux(source, stream):
        start = None if packet.pts is None else packet.pts * tick - origin
        if start is not None and start + (packet.duration or 0) * tick < -RUN_IN_S:
            continue
        if start is not None and length is not None and start > length:
            return
        try:
            frames = cast(list[av.AudioFrame], packet.decode())
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.pts is not None:
                instant = frame.pts * (frame.time_base or tick) - origin
                frame.pts, frame.time_base = round(instant * frame.sample_rate), Fraction(1, frame.sample_rate)
            yield frame


def _stretched(
    frames: Iterator[av.AudioFrame], sound: AudioStream, length: Fraction | None, by: Fraction
) -> Iterator[av.AudioFrame]:
    """The frames' sound from zero to its end, or to `length`, `by` times as long to the sample."""
    first = next(frames, None)
    if first is None:
        return
    graph, rate = _graph(first, sound, by), sound.codec_context.sample_rate
    made, end = 0, Fraction(0)
    frame: av.AudioFrame | None = first
    while frame is not None:
        if (frame.sample_rate, frame.format.name, frame.layout.name) != _kind(first):
            raise UserError(
                f"sound that changes from {_told(first)} to {_told(frame)} cannot be stretched: convert it first, or "
                "use --sound drop"
            )
        start = frame.pts if frame.pts is not None else round(end * frame.sample_rate)
        end = Fraction(start + frame.samples, frame.sample_rate)
        frame.pts = start + round(LEAD_S * frame.sample_rate)
        graph.push(frame)
        for out in _pull(graph):
            made += out.samples
            yield out
        frame = next(frames, None)
    graph.push(None)
    left = round((end if length is None else min(end, length)) * by * rate) - made
    yield from _first_samples(_pull(graph), left)


def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _told(frame: av.AudioFrame) -> str:
    return f"{frame.sample_rate} Hz {frame.layout.name} {frame.format.name}"


def _graph(first: av.AudioFrame, sound: AudioStream, by: Fraction) -> Graph:
    """From frames like the first one to what the encoder takes, starting at zero."""
    graph = Graph()
    stages = max(1, math.ceil(math.log(by, SLOWEST)))
    tempo = float(by) ** (-1 / stages)
    encoder = sound.codec_context
    chain = [
        graph.add_abuffer(
            sample_rate=first.sample_rate, format=first.format.name, layout=first.layout.name, time_base=first.time_base
        ),
        graph.add("aresample", f"async=1:first_pts=0:min_hard_comp={HARD_GAP_S}"),
        graph.add("apad", f"pad_dur={TAIL_S}"),
        *(graph.add("atempo", f"{max(tempo, 1 / SLOWEST):.17g}") for _ in range(stages)),
        graph.add("aresample", f"{encoder.sample_rate}"),
        graph.add("aformat", f"sample_fmts={encoder.format.name}:channel_layouts={encoder.layout.name}"),
        graph.add("abuffersink"),
    ]
    return link(graph, chain)


def _pull(graph: Graph) -> Iterator[av.AudioFrame]:
    return (frame for frame in pull(graph) if isinstance(frame, av.AudioFrame))


def _first_samples(frames: Iterator[av.AudioFrame], left: int) -> Iterator[av.AudioFrame]:
    """Cut by a filter: PyAV 18 reads beyond the end of frames of eight planes when they become arrays."""
    for frame in frames:
        if frame.samples > left > 0:
            graph = Graph()
            source = graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format.name,
                layout=frame.layout.name,
                time_base=Fraction(1, frame.sample_rate),
            )
            link(graph, [source, graph.add("atrim", f"end_sample={left}"), graph.add("abuffersink")])
            frame.pts, frame.time_base = 0, Fraction(1, frame.sample_rate)
            graph.push(frame)
            graph.push(None)
            yield from _pull(graph)
        elif left > 0:
            yield frame
        left -= frame.samples


def _nearest_rate(encoder: str, rate: int) -> int | None:
    """The sample rate an encoder takes: the source's, else the next higher one; None without such an encoder."""
    try:
        rates = av.Codec(encoder, "w").audio_rates
    except av.codec.codec.UnknownCodecError:
        return None
    if not rates or rate in rates:
        return rate
    return min((each for each in rates if each >= rate), default=max(rates))


def _holds(container: str, choice: SoundChoice) -> bool:
    """Whether it works, found out by trying."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream(choice.encoder, rate=choice.rate, layout=choice.layout)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True
