"""The pixel format that an encoder gets: the source's own if it takes that, else the nearest one."""

from collections.abc import Mapping

import av
from av.codec.codec import find_best_pix_fmt_of_list

from vidcm.media.deep import depth_of
from vidcm.media.encoders import Encoder
from vidcm.media.names import has_alpha, is_rgb


def pixel_format(encoder: Encoder, source: str, width: int, height: int, muxer: str = "") -> str:
    """The source's own format if the encoder takes it, so that pixels pass untouched, else the nearest one.

    Alpha stays where encoder and muxer have a place for it. RGB and palettes become 4:2:0, which every player knows,
    but for lossless codecs. H.264 and HEVC refuse odd sizes with shared chroma samples; those become 4:4:4.
    """
    if has_alpha(source) and keeps_alpha(encoder, muxer):
        return source if source in encoder.alpha else _nearest(list(encoder.alpha), source)
    known = {each.name: each for each in _formats(encoder) if not has_alpha(each.name)}
    if isinstance(encoder.levels, Mapping):
        known = {name: each for name, each in known.items() if name in encoder.levels}
    if not encoder.odd_sizes:
        known = {name: each for name, each in known.items() if _divides(each, width, height)}
    if source in known:
        return source
    if encoder.levels is None:
        return _nearest(list(known), source)
    wanted = opaque_yuv(source)
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


def keeps_alpha(encoder: Encoder, muxer: str) -> bool:
    return bool(encoder.alpha) and (encoder.alpha_in is None or muxer in encoder.alpha_in)


def opaque_yuv(source: str) -> str:
    """What a format without alpha and RGB would be."""
    deep = "" if depth_of(source) == 8 else f"{min(depth_of(source), 16)}le"
    if is_rgb(source) or source.startswith("xyz"):
        return "yuv420p" + deep
    if source.startswith("yuva"):
        return source.replace("yuva", "yuv")
    return "gray" + deep if source.startswith("ya") else source


def chroma_samples(pix_fmt: av.VideoFormat) -> int:
    """Of 16 by 16 pixels: 256 where none are shared."""
    return pix_fmt.chroma_width(16) * pix_fmt.chroma_height(16)


def _divides(pix_fmt: av.VideoFormat, width: int, height: int) -> bool:
    """Whether every chroma sample covers as many pixels as the others."""
    return width % (16 // pix_fmt.chroma_width(16)) == 0 and height % (16 // pix_fmt.chroma_height(16)) == 0
