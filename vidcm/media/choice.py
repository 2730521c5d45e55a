"""How a video is best written to a file name: codec, encoder, pixel format and colours.

The depth of a video stays, or the job is refused; where chroma or alpha cannot stay, nor the depth of RGB or of what
has alpha, a note says so.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import av

from vidcm.core.errors import UserError
from vidcm.core.large import is_large
from vidcm.media import hardware
from vidcm.media.colour import FULL, LIMITED, RGB, Colour
from vidcm.media.deep import depth_of
from vidcm.media.encoders import ENCODERS, Container, Encoder, check_codec, container_for
from vidcm.media.formats import chroma_samples, opaque_yuv, pixel_format
from vidcm.media.info import VideoInfo
from vidcm.media.light import is_coloured, is_light
from vidcm.media.names import has_alpha, is_rgb
from vidcm.media.sequence import ImageSequence

ALPHA_WAYS = "prores in .mov, vp9 in .webm, ffv1 in .mkv and .png keep it"


@dataclass(frozen=True)
class Choice:
    """How a file is written. colour: the tags it gets, in which its pictures are; notes: what of the picture does not
    come along, one line each with the reason; remark: what else is worth telling."""

    container: Container
    codec: str
    encoder: Encoder
    pix_fmt: str
    options: dict[str, str]
    colour: Colour
    notes: tuple[str, ...] = ()
    remark: str | None = None

    @property
    def has_alpha(self) -> bool:
        return has_alpha(self.pix_fmt)


def choose(
    path: Path,
    info: VideoInfo,
    codec: str | None = None,
    quality: str | None = None,
    encoder: str = hardware.SOFTWARE,
) -> Choice:
    """How `info` is best written to `path`. Raises UserError for what does not fit together.

    Without a codec: the first of the container's that players know at this depth and that loses nothing, else the
    first that keeps alpha, then the depth. encoder: "software"; the name of a hardware one, which then has to work;
    "auto", the first of those that works and loses nothing that software keeps.
    """
    container = container_for(path)
    hardware.check_encoder(encoder, codec)
    codec = codec or hardware.codec_of(encoder)
    check_codec(path, codec, quality)
    if codec is None:
        codec = container.codecs[0] if is_light(info.pix_fmt) else _best(path, container, info)
    _check_light(path, codec, info)
    if encoder == hardware.AUTO:
        return _first_that_works(path, info, codec, quality)
    chip = hardware.named(encoder)
    by = chip or encoder_for(codec, container)
    pix_fmt = pixel_format(by, info.pix_fmt, info.width, info.height, container.format)
    colour = _written(by, info, pix_fmt)
    _check_picture(codec, by, info, colour)
    depth = depth_of(pix_fmt)
    if depth < info.bit_depth and not _may_round(codec, info, pix_fmt):
        raise UserError(
            f"{path}: {codec} holds {depth} bits here, the input has {info.bit_depth} "
            f"(use {', '.join(_fits(container, info)) or 'ffv1 in .mkv'})"
        )
    if chip is not None:
        hardware.check_works(chip, pix_fmt, info.width, info.height)
    options = by.options_for(pix_fmt, quality, large=is_large(info.height, info.width))
    if codec == "exr":
        options["format"] = "half" if "f16" in info.pix_fmt else "float"
    return Choice(container, codec, by, pix_fmt, options, colour, tuple(_notes(codec, info, pix_fmt)))


def _first_that_works(path: Path, info: VideoInfo, codec: str, quality: str | None) -> Choice:
    """Hardware if it keeps all that software does, else that, with a remark."""
    best = choose(path, info, codec, quality)
    for chip in hardware.HARDWARE.get(codec, ()):
        try:
            choice = choose(path, info, codec, quality, chip.name)
        except UserError:
            continue
        if set(choice.notes) <= set(best.notes):
            return choice
    return replace(best, remark=hardware.instead(codec))


def encoder_for(codec: str, container: Container) -> Encoder:
    """By our name for the codec. Raises UserError if this build of FFmpeg lacks it."""
    if not _is_built(codec):
        here = [each for each in container.codecs if _is_built(each)]
        raise UserError(
            f"codec {codec}: the installed PyAV is built without {ENCODERS[codec].name} (use {', '.join(here)})"
        )
    return ENCODERS[codec]


def _fits(container: Container, info: VideoInfo) -> dict[str, str]:
    """The container's codecs that keep the depth -> the pixel format each would be written in."""
    return {codec: name for codec, name in _possible(container, info).items() if depth_of(name) >= info.bit_depth}


def _possible(container: Container, info: VideoInfo) -> dict[str, str]:
    """The same, whatever becomes of the depth."""
    built = [codec for codec in container.codecs if _is_built(codec)]
    size, muxer = (info.width, info.height), container.format
    formats = {codec: pixel_format(ENCODERS[codec], info.pix_fmt, *size, muxer) for codec in built}
    return {codec: name for codec, name in formats.items() if _takes(codec, info, name)}


def _best(path: Path, container: Container, info: VideoInfo) -> str:
    possible = _possible(container, info)
    fits = [
        codec for codec, name in possible.items() if depth_of(name) >= info.bit_depth or _may_round(codec, info, name)
    ]
    if not fits:
        way_out = ".mp4, .mov or .mkv with hevc" if info.bit_depth <= 12 else ".mkv with ffv1"
        raise UserError(f"{path}: {container.format} files do not hold {info.bit_depth} bits (use {way_out})")

    def losses(codec: str) -> tuple[bool, int, bool, bool]:
        name = possible[codec]
        is_lossy, is_unusual = bool(_notes(codec, info, name)), info.bit_depth > ENCODERS[codec].usual_depth
        lost_bits = max(0, info.bit_depth - depth_of(name))
        return _loses_alpha(info.pix_fmt, name), lost_bits, is_lossy, is_unusual

    return min(fits, key=losses)


def _is_built(codec: str) -> bool:
    try:
        av.Codec(ENCODERS[codec].name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _takes(codec: str, info: VideoInfo, pix_fmt: str) -> bool:
    try:
        _check_picture(codec, ENCODERS[codec], info, _written(ENCODERS[codec], info, pix_fmt))
    except UserError:
        return False
    return True


def _check_picture(codec: str, encoder: Encoder, info: VideoInfo, written: Colour) -> None:
    width, height = encoder.smallest
    colour = written.resolved(info.width, info.height)
    if info.width < width or info.height < height:
        raise UserError(
            f"{codec} needs at least {width}x{height} pixels, the input has {info.width}x{info.height} "
            "(use ffv1 in .mkv, which takes any)"
        )
    if encoder.limited_only and colour.range == FULL:
        raise UserError(f"{codec} holds limited range only, and the input is full range (use hevc or ffv1)")
    if encoder.matrices is not None and colour.matrix not in encoder.matrices:
        raise UserError(
            f"{codec} holds BT.709 colours only, the input's matrix has the code {colour.matrix} (use hevc)"
        )


def _check_light(path: Path, codec: str, info: VideoInfo) -> None:
    """OpenEXR comes from OpenEXR and goes there: on the way to a display somebody has to choose a look."""
    if codec == "exr" and not is_light(info.pix_fmt):
        raise UserError(f"{path}: OpenEXR holds scene-linear light, which the input is not (use .png, or ffv1 in .mkv)")
    if codec != "exr" and is_light(info.pix_fmt):
        raise UserError(
            f"{path}: the input is scene-linear light, which {codec} does not hold: write pictures such as f_%04d.exr, "
            "and make video of those where their look is chosen"
        )
    if codec == "exr" and not is_coloured(info.pix_fmt):
        raise UserError(f"{path}: the input has no red, green and blue ({info.pix_fmt}), and only those are read of it")


def _is_rgb_like(info: VideoInfo) -> bool:
    """Whether its samples are full range because pictures are, not because somebody chose it; and 16 bits because they
    have no depth between that and 8."""
    return is_rgb(info.pix_fmt) or isinstance(info.path, ImageSequence)


def _may_round(codec: str, info: VideoInfo, pix_fmt: str) -> bool:
    """ProRes 4444 is read as 12 bits, whatever was put into it; and who has alpha misses it more than bits."""
    keeps_alpha = has_alpha(info.pix_fmt) and has_alpha(pix_fmt)
    return _is_rgb_like(info) or codec == info.codec == "prores" or keeps_alpha


def _written(encoder: Encoder, info: VideoInfo, pix_fmt: str) -> Colour:
    """The source's tags, in which pictures pass untouched. RGB becomes YUV of limited range, which every player takes
    for granted, in the matrix that its size stands for; YUV becomes RGB's. Grey pictures are tagged as RGB, too."""
    tags, was_rgb = info.colour, is_rgb(info.pix_fmt)
    if is_rgb(pix_fmt):
        return tags if was_rgb else replace(tags, matrix=RGB, range=FULL)
    known = tags.resolved(info.width, info.height)
    if not (was_rgb or (encoder.limited_only and _is_rgb_like(info) and known.range == FULL)):
        return replace(tags, matrix=known.matrix) if tags.matrix == RGB else tags
    matrices = encoder.matrices or (known.matrix,)
    return replace(tags, matrix=known.matrix if known.matrix in matrices else matrices[0], range=LIMITED)


def _loses_alpha(source: str, pix_fmt: str) -> bool:
    return has_alpha(source) and not has_alpha(pix_fmt)


def _notes(codec: str, info: VideoInfo, pix_fmt: str) -> list[str]:
    source = info.pix_fmt
    if codec == "exr":
        return ["OpenEXR attributes, and channels other than R, G, B and A: FFmpeg does not write them"]
    notes = [f"alpha: {codec} pictures are written without it ({ALPHA_WAYS})"] if _loses_alpha(source, pix_fmt) else []
    if depth_of(pix_fmt) < info.bit_depth:
        what = f"{codec} with alpha" if has_alpha(pix_fmt) else codec
        notes.append(f"depth: {what} is written with {depth_of(pix_fmt)} bits, the input has {info.bit_depth}")
    before, after = av.VideoFormat(opaque_yuv(source)), av.VideoFormat(pix_fmt)
    is_colour = len(before.components) > 1
    if is_colour and not after.is_rgb and chroma_samples(after) < chroma_samples(before):
        notes.append(f"chroma detail: {codec} is written as {pix_fmt}, the input is {source}")
    if is_rgb(source) and not after.is_rgb:
        what = "chroma detail" if chroma_samples(after) < 256 else "RGB samples"
        notes.append(f"{what}: RGB is written as {pix_fmt} by {codec}, ffv1 in .mkv keeps RGB")
    return notes
