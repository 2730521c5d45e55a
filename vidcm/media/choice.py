"""How a video is best written to a file name: codec, encoder and pixel format.

The depth of the source stays, or the job is refused; where chroma or alpha cannot stay, a note says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
from av.codec.codec import find_best_pix_fmt_of_list

from vidcm.core.errors import UserError
from vidcm.media.colour import FULL
from vidcm.media.deep import depth_of
from vidcm.media.encoders import ENCODERS, Container, Encoder, check_codec, container_for
from vidcm.media.info import VideoInfo


@dataclass(frozen=True)
class Choice:
    """How a file is written. notes: what of the picture does not come along, one line each with the reason."""

    container: Container
    codec: str
    encoder: Encoder
    pix_fmt: str
    options: dict[str, str]
    notes: tuple[str, ...] = ()


def choose(path: Path, info: VideoInfo, codec: str | None = None, quality: str | None = None) -> Choice:
    """How `info` is best written to `path`. Raises UserError for what does not fit together.

    Without a codec: the first of the container's that players know at this depth and that loses nothing, else the
    first that keeps the depth.
    """
    container = container_for(path)
    check_codec(path, codec, quality)
    if codec is None:
        codec = _best(path, container, info)
    encoder = encoder_for(codec, container)
    _check_picture(codec, encoder, info)
    pix_fmt = pixel_format(encoder, info.pix_fmt, info.width, info.height)
    if depth_of(pix_fmt) < info.bit_depth:
        raise UserError(
            f"{path}: {codec} holds {depth_of(pix_fmt)} bits here, the input has {info.bit_depth} "
            f"(use {', '.join(_fits(container, info)) or 'ffv1 in .mkv'})"
        )
    notes = _notes(codec, info.pix_fmt, pix_fmt)
    if av.VideoFormat(info.pix_fmt).is_rgb and not av.VideoFormat(pix_fmt).is_rgb:
        notes.append(f"chroma detail: RGB is written as {pix_fmt} ({codec}; ffv1 in .mkv keeps it)")
    return Choice(container, codec, encoder, pix_fmt, encoder.options_for(pix_fmt, quality), tuple(notes))


def encoder_for(codec: str, container: Container) -> Encoder:
    """By our name for the codec. Raises UserError if this build of FFmpeg lacks it."""
    if not _is_built(codec):
        here = [each for each in container.codecs if _is_built(each)]
        raise UserError(
            f"codec {codec}: the installed PyAV is built without {ENCODERS[codec].name} (use {', '.join(here)})"
        )
    return ENCODERS[codec]


def pixel_format(encoder: Encoder, source: str, width: int, height: int) -> str:
    """The source's own format if the encoder takes it, so that pixels pass untouched, else the nearest one.

    Alpha is left out. RGB and palettes become 4:2:0, which every player knows, but for lossless codecs. H.264 and HEVC
    refuse odd sizes with shared chroma samples; those become 4:4:4.
    """
    known = {each.name: each for each in _formats(encoder) if not has_alpha(each.name)}
    if isinstance(encoder.levels, Mapping):
        known = {name: each for name, each in known.items() if name in encoder.levels}
    if not encoder.odd_sizes:
        known = {name: each for name, each in known.items() if _divides(each, width, height)}
    if source in known:
        return source
    if encoder.levels is None:
        return _nearest(list(known), source)
    wanted = _opaque_yuv(source)
    if wanted.startswith("gray") and wanted not in known:
        wanted = wanted.replace("gray", "yuv420p")
    return wanted if wanted in known else _nearest(list(known), wanted)


def _formats(encoder: Encoder) -> list[av.VideoFormat]:
    if encoder.formats is not None:
        return [av.VideoFormat(name) for name in encoder.formats]
    return list(av.Codec(encoder.name, "w").video_formats or ())


def _nearest(known: list[str], wanted: str) -> str:
    best, _ = find_best_pix_fmt_of_list(known, wanted)
    return wanted if best is None else best.name


def has_alpha(pix_fmt: str) -> bool:
    """Whether its last component is alpha (PyAV's own `is_alpha` misses most of them); palettes do not count."""
    return pix_fmt.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "ayuv", "vuya"))


def _opaque_yuv(source: str) -> str:
    """What a format without alpha and RGB would be."""
    deep = "" if depth_of(source) == 8 else f"{min(depth_of(source), 16)}le"
    if av.VideoFormat(source).is_rgb or av.VideoFormat(source).has_palette or source.startswith("xyz"):
        return "yuv420p" + deep
    if source.startswith("yuva"):
        return source.replace("yuva", "yuv")
    return "gray" + deep if source.startswith("ya") else source


def _fits(container: Container, info: VideoInfo) -> dict[str, str]:
    """The container's codecs that keep the depth -> the pixel format each would be written in."""
    return {
        codec: pix_fmt
        for codec in container.codecs
        if _is_built(codec)
        and _takes(ENCODERS[codec], info)
        and depth_of(pix_fmt := pixel_format(ENCODERS[codec], info.pix_fmt, info.width, info.height)) >= info.bit_depth
    }


def _best(path: Path, container: Container, info: VideoInfo) -> str:
    fits = _fits(container, info)
    if not fits:
        way_out = ".mp4, .mov or .mkv with hevc" if info.bit_depth <= 12 else ".mkv with ffv1"
        raise UserError(f"{path}: {container.format} files do not hold {info.bit_depth} bits (use {way_out})")
    return min(
        fits,
        key=lambda codec: (
            bool(_notes(codec, info.pix_fmt, fits[codec])),
            info.bit_depth > ENCODERS[codec].usual_depth,
        ),
    )


def _is_built(codec: str) -> bool:
    try:
        av.Codec(ENCODERS[codec].name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _takes(encoder: Encoder, info: VideoInfo) -> bool:
    try:
        _check_picture(encoder.name, encoder, info)
    except UserError:
        return False
    return True


def _check_picture(codec: str, encoder: Encoder, info: VideoInfo) -> None:
    width, height = encoder.smallest
    colour = info.colour.resolved(info.width, info.height)
    if info.width < width or info.height < height:
        raise UserError(f"{codec} needs at least {width}x{height} pixels, the input has {info.width}x{info.height}")
    if encoder.limited_only and colour.range == FULL:
        raise UserError(f"{codec} holds limited range only, and the input is full range (use hevc or ffv1)")
    if encoder.matrices is not None and colour.matrix not in encoder.matrices:
        raise UserError(
            f"{codec} holds BT.709 colours only, the input's matrix has the code {colour.matrix} (use hevc)"
        )


def _notes(codec: str, source: str, pix_fmt: str) -> list[str]:
    notes = [f"alpha: {codec} pictures are written without it"] if has_alpha(source) else []
    before, after = av.VideoFormat(_opaque_yuv(source)), av.VideoFormat(pix_fmt)
    is_colour = len(before.components) > 1
    if is_colour and not after.is_rgb and _chroma(after) < _chroma(before):
        notes.append(f"chroma detail: {codec} is written as {pix_fmt}, the input is {source}")
    return notes


def _chroma(pix_fmt: av.VideoFormat) -> int:
    return pix_fmt.chroma_width(16) * pix_fmt.chroma_height(16)


def _divides(pix_fmt: av.VideoFormat, width: int, height: int) -> bool:
    """Whether every chroma sample covers as many pixels as the others."""
    return width % (16 // pix_fmt.chroma_width(16)) == 0 and height % (16 // pix_fmt.chroma_height(16)) == 0
