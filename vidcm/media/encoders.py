"""Which encoder and container a file name and a codec name stand for, and which pixel format reaches the encoder."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.codec.codec import find_best_pix_fmt_of_list

from vidcm.core.errors import UserError


@dataclass(frozen=True)
class Encoder:
    """An FFmpeg encoder with the options we use it with. odd_sizes: whether it takes odd sizes with shared chroma."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    odd_sizes: bool = True


@dataclass(frozen=True)
class Container:
    """An FFmpeg muxer, the codecs it may hold, the one for who does not ask first, and its options."""

    format: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def codec(self) -> str:
        return self.codecs[0]

    def options_for(self, time_base: Fraction) -> dict[str, str]:
        """With MP4's and MOV's clock for late starts, else milliseconds, made fine enough for pictures and sound."""
        if self.format not in ("mp4", "mov"):
            return dict(self.options)
        ticks = time_base.denominator
        return {**self.options, "movie_timescale": str(ticks * math.ceil(90_000 / ticks))}


ENCODERS = {
    "h264": Encoder("libx264", {"crf": "16", "preset": "medium", "rc-lookahead": "20"}, odd_sizes=False),
    "hevc": Encoder("libx265", {"crf": "18", "preset": "medium", "x265-params": "log-level=error"}, odd_sizes=False),
    "vp9": Encoder("libvpx-vp9", {"crf": "20", "b": "0", "cpu-used": "4", "row-mt": "1"}),
    "ffv1": Encoder("ffv1", {"level": "3", "slicecrc": "1"}),  # lossless
}
CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "hevc", "vp9"), {"movflags": "+faststart"}),
    ".m4v": Container("mp4", ("h264", "hevc", "vp9"), {"movflags": "+faststart"}),
    ".mov": Container("mov", ("h264", "hevc", "ffv1"), {"movflags": "+faststart"}),
    ".mkv": Container("matroska", ("h264", "hevc", "vp9", "ffv1"), {"avoid_negative_ts": "disabled"}),
    ".webm": Container("webm", ("vp9",), {"avoid_negative_ts": "disabled"}),
}


def container_for(path: Path) -> Container:
    """By the extension. AVI is not among them: it holds neither exact instants nor orientation nor colour tags."""
    suffix = path.suffix.lower()
    if suffix not in CONTAINERS:
        raise UserError(f"{path}: cannot write {suffix or 'a file without extension'} (use {', '.join(CONTAINERS)})")
    return CONTAINERS[suffix]


def encoder_for(codec: str, container: Container) -> Encoder:
    """By our name for the codec. Raises UserError if it is unknown, does not fit, or this build of FFmpeg lacks it."""
    if codec not in ENCODERS:
        raise UserError(f"unknown codec {codec!r} (known: {', '.join(ENCODERS)})")
    if codec not in container.codecs:
        raise UserError(f"{container.format} files do not hold {codec} (use {', '.join(container.codecs)})")
    try:
        av.Codec(ENCODERS[codec].name, "w")
    except av.codec.codec.UnknownCodecError:
        raise UserError(f"codec {codec}: the installed PyAV is built without {ENCODERS[codec].name}") from None
    return ENCODERS[codec]


def pixel_format(encoder: Encoder, source: str, width: int, height: int) -> str:
    """The source's own format if the encoder takes it, so that pixels pass untouched, else the nearest one.

    RGB and palettes become 4:2:0, which every player knows. H.264 and HEVC refuse odd sizes with shared chroma samples;
    those become 4:4:4.
    """
    known = {each.name: each for each in av.Codec(encoder.name, "w").video_formats or ()}
    if not encoder.odd_sizes:
        known = {name: each for name, each in known.items() if _divides(each, width, height)}
    if source in known:
        return source
    if av.VideoFormat(source).is_rgb or av.VideoFormat(source).has_palette:
        source = "yuv420p"
    best, _ = find_best_pix_fmt_of_list(list(known), source)
    return source if source in known or best is None else best.name


def _divides(pix_fmt: av.VideoFormat, width: int, height: int) -> bool:
    """Whether every chroma sample covers as many pixels as the others."""
    return width % (16 // pix_fmt.chroma_width(16)) == 0 and height % (16 // pix_fmt.chroma_height(16)) == 0
