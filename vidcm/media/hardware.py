"""Encoders that are chips: which we know how to drive, and which of them work here.

FFmpeg lists what it was built with, whether the chip is there or not. So an encoder is tried: opened as it would be
used, and given a picture.
"""

from dataclasses import replace
from functools import cache
from typing import cast

from vidcm.core.errors import UserError
from vidcm.media.encoders import ENCODERS, Encoder, Levels

SOFTWARE, AUTO = "software", "auto"
EIGHT, TEN = ("yuv420p", "nv12"), ("yuv420p", "nv12", "p010le")
FULL_CHROMA = ("yuv444p",)  # NVENC's, beside those
TRIED_AT = (640, 360)  # pixels, where nobody says what for


def _chip(name: str, levels: Levels, knob: str, options: dict[str, str], formats: tuple[str, ...]) -> Encoder:
    tag = "hvc1" if name.startswith("hevc") else None
    return Encoder(name, levels, options, knob, odd_sizes=False, smallest=(160, 64), tag=tag, formats=formats)


def _nvenc(name: str, levels: Levels, formats: tuple[str, ...]) -> Encoder:
    return _chip(name, levels, "cq", {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0"}, formats)


def _videotoolbox(name: str, formats: tuple[str, ...]) -> Encoder:
    quality = tuple(str(118 * percent) for percent in (45, 55, 65, 80))  # FFmpeg counts 118 to a step of `-q:v`
    return _chip(name, quality, "global_quality", {"flags": "+qscale"}, formats)  # type: ignore[arg-type]


def _qsv(name: str, levels: Levels, formats: tuple[str, ...]) -> Encoder:
    return _chip(name, levels, "global_quality", {"preset": "medium"}, formats)


def _amf(name: str, levels: Levels, formats: tuple[str, ...]) -> Encoder:
    return _chip(name, levels, "qvbr_quality_level", {"rc": "qvbr", "quality": "quality"}, formats)


def _vaapi(name: str, levels: Levels, formats: tuple[str, ...]) -> Encoder:
    return replace(_chip(name, levels, "global_quality", {"rc_mode": "CQP"}, formats), memory="vaapi")


# Our name of the codec -> encoders, the one to prefer first. Levels are the makers' scales, near those of software.
HARDWARE: dict[str, tuple[Encoder, ...]] = {
    "h264": (
        _nvenc("h264_nvenc", ("28", "23", "19", "13"), EIGHT + FULL_CHROMA),
        _videotoolbox("h264_videotoolbox", EIGHT),
        _qsv("h264_qsv", ("28", "23", "19", "13"), ("nv12",)),
        _amf("h264_amf", ("28", "23", "19", "13"), EIGHT),
        _vaapi("h264_vaapi", ("28", "23", "19", "13"), ("nv12",)),
    ),
    "hevc": (
        _nvenc("hevc_nvenc", ("30", "25", "21", "15"), TEN + FULL_CHROMA),
        _videotoolbox("hevc_videotoolbox", TEN),
        _qsv("hevc_qsv", ("30", "25", "21", "15"), ("nv12", "p010le")),
        _amf("hevc_amf", ("30", "25", "21", "15"), TEN),
        _vaapi("hevc_vaapi", ("30", "25", "21", "15"), ("nv12", "p010le")),
    ),
    "av1": (
        _nvenc("av1_nvenc", ("40", "33", "26", "17"), TEN),
        _qsv("av1_qsv", ("30", "25", "21", "15"), ("nv12", "p010le")),
        _amf("av1_amf", ("30", "25", "21", "15"), TEN),
        _vaapi("av1_vaapi", ("160", "132", "104", "68"), ("nv12", "p010le")),  # of 255, where others count to 63
    ),
}
NAMES = tuple(encoder.name for encoders in HARDWARE.values() for encoder in encoders)


def codec_of(name: str) -> str | None:
    """Our name of the codec that a hardware encoder makes; None for what is no such encoder."""
    return next((codec for codec, encoders in HARDWARE.items() if name in [each.name for each in encoders]), None)


def check_encoder(wanted: str, codec: str | None) -> None:
    """Raises UserError for a name that is none, or of another codec."""
    if wanted in (SOFTWARE, AUTO):
        return
    if wanted not in NAMES:
        raise UserError(f"unknown encoder {wanted!r} (known: {AUTO}, {SOFTWARE}, {', '.join(NAMES)})")
    if codec is not None and codec_of(wanted) != codec:
        raise UserError(f"encoder {wanted} makes {codec_of(wanted)}, not {codec}: leave one of them out")


def named(wanted: str) -> Encoder | None:
    """The hardware encoder of that name; None for software."""
    found = (encoder for encoders in HARDWARE.values() for encoder in encoders)
    return next((encoder for encoder in found if encoder.name == wanted), None)


def check_works(encoder: Encoder, pix_fmt: str, width: int, height: int) -> None:
    """Raises UserError where an encoder that was asked for does not work."""
    if reason := why_not(encoder, pix_fmt, width, height):
        raise UserError(
            f"encoder {encoder.name} does not work here at {width}x{height} ({reason}): give --encoder {AUTO} or "
            f"{SOFTWARE}; vidcm doctor lists those that work"
        )


def instead(codec: str) -> str:
    """What is said where software has to do."""
    tried = ", ".join(encoder.name for encoder in HARDWARE.get(codec, ()))
    why = f"of {tried} none works here for these pictures" if tried else f"there is none for {codec}"
    return f"hardware encoder: {why}, {ENCODERS[codec].name} takes its place"


def why_not(encoder: Encoder, pix_fmt: str, width: int, height: int) -> str | None:
    """Why an encoder does not work here, in a word or two; None where it does."""
    options = tuple(encoder.options_for(pix_fmt, None).items())
    return tried(encoder.name, pix_fmt, width, height, options, encoder.memory)


@cache
def tried(
    encoder: str,
    pix_fmt: str,
    width: int,
    height: int,
    options: tuple[tuple[str, str], ...] = (),
    memory: str | None = None,
) -> str | None:
    """`why_not`, with the options that are used, and the device in whose memory it takes pictures."""
    from fractions import Fraction

    import av
    from av.video.codeccontext import VideoCodecContext

    from vidcm.media.chip_memory import device_of

    try:
        context = cast(VideoCodecContext, av.CodecContext.create(encoder, "w", device_of(memory)))
        context.width, context.height, context.pix_fmt = width, height, pix_fmt
        context.time_base, context.framerate, context.options = Fraction(1, 25), Fraction(25), dict(options)
        frame = av.VideoFrame(width, height, "yuv420p").reformat(format=pix_fmt)
        frame.pts = 0
        return None if [*context.encode(frame), *context.encode(None)] else "it gave nothing"
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, OSError, ValueError, NotImplementedError) as error:
        return getattr(error, "strerror", None) or type(error).__name__


def at_work() -> dict[str, str | None]:
    """Each of them, and why it does not work here."""
    found = (encoder for encoders in HARDWARE.values() for encoder in encoders)
    return {encoder.name: why_not(encoder, (encoder.formats or EIGHT)[0], *TRIED_AT) for encoder in found}
