"""The containers and encoders we write, and which file names, codecs and qualities go together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.media.pipes import is_pipe
from vidcm.media.sequence import PLACE, pattern_of

QUALITIES = ("low", "medium", "high", "best")
HIGH = QUALITIES.index("high")
Levels = tuple[str, str, str, str]


@dataclass(frozen=True)
class Encoder:
    """An FFmpeg encoder with the options we use it with.

    levels: what `knob` is set to for each of QUALITIES; a mapping where it depends on the pixel format, which then has
    to be one of them; None: lossless. odd_sizes: whether it takes odd sizes with shared chroma. usual_depth: the
    deepest that players decode. smallest: width and height in pixels. limited_only: it cannot tell
    full range. matrices: the only ones it can tell (None: any). alpha: pixel formats with it that are written, in the
    muxers `alpha_in` alone where those are named.
    """

    name: str
    levels: Levels | Mapping[str, Levels] | None
    options: Mapping[str, str] = field(default_factory=dict)
    knob: str = "crf"
    odd_sizes: bool = True
    usual_depth: int = 16
    smallest: tuple[int, int] = (1, 1)
    limited_only: bool = False
    matrices: tuple[int, ...] | None = None
    tag: str | None = None  # in MP4 and MOV
    alpha: tuple[str, ...] = ()
    alpha_in: tuple[str, ...] | None = None
    formats: tuple[str, ...] | None = None  # pixel formats that are written; None: all that the encoder names
    large: Mapping[str, str] = field(default_factory=dict)  # options of large pictures: fewer wait in the encoder
    brief: Mapping[str, str] = field(default_factory=dict)  # where memory is short: fewer still, if it can
    memory: str | None = None  # FFmpeg's name of the kind of device in whose memory alone it takes pictures

    def options_for(self, pix_fmt: str, quality: str | None, *, large: bool = False) -> dict[str, str]:
        levels = self.levels[pix_fmt] if isinstance(self.levels, Mapping) else self.levels
        options = {**self.options, **(self.large if large else {})}
        if levels is None:
            return options
        return {**options, self.knob: levels[HIGH if quality is None else QUALITIES.index(quality)]}


@dataclass(frozen=True)
class Container:
    """An FFmpeg muxer, the codecs it may hold, the one for who does not ask first, and its options.

    alone: it holds pictures at one constant rate, and nothing else.
    """

    format: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False

    @property
    def is_mp4(self) -> bool:
        """Of the QuickTime family."""
        return self.format in ("mp4", "mov")

    def options_for(self, time_base: Fraction, first: int = 1) -> dict[str, str]:
        """With MP4's and MOV's clock for late starts, else milliseconds, made fine enough for pictures and sound.

        first: number of the first picture, where they are numbered.
        """
        if self.format == "image2":
            return {**self.options, "start_number": str(first)}
        if not self.is_mp4:
            return dict(self.options)
        ticks = time_base.denominator
        return {**self.options, "movie_timescale": str(ticks * math.ceil(90_000 / ticks))}


Y4M_FORMATS = (
    *("gray", "yuv420p", "yuv422p", "yuv444p", "yuv411p"),
    *(f"{kind}{depth}le" for kind in ("gray", "yuv420p", "yuv422p", "yuv444p") for depth in (9, 10, 12, 14, 16)),
)
ENCODERS = {
    "h264": Encoder(
        "libx264",
        ("23", "19", "16", "10"),
        # cpu-independent: the same bytes on every processor; with AVX-512 they even differ from run to run
        {"preset": "medium", "rc-lookahead": "20", "x264-params": "cpu-independent=1"},
        odd_sizes=False,
        usual_depth=8,
        large={"rc-lookahead": "10"},
        brief={"rc-lookahead": "4"},
    ),
    "hevc": Encoder(
        "libx265",
        ("26", "21", "18", "12"),
        {"preset": "medium", "x265-params": "log-level=error"},
        odd_sizes=False,
        smallest=(16, 16),
        tag="hvc1",  # the one Apple's players take
        large={"x265-params": "log-level=error:rc-lookahead=10"},
        brief={"x265-params": "log-level=error:rc-lookahead=5"},
    ),
    "av1": Encoder(
        "libsvtav1",
        ("40", "32", "24", "14"),
        {"preset": "6"},
        smallest=(16, 16),
        large={"svtav1-params": "lookahead=10"},
    ),
    "vp9": Encoder(
        "libvpx-vp9",
        ("34", "27", "20", "12"),
        {"b": "0", "cpu-used": "4", "row-mt": "1"},
        alpha=("yuva420p",),  # the one that browsers show
        alpha_in=("matroska", "webm"),
        large={"lag-in-frames": "12"},
        brief={"lag-in-frames": "5"},
    ),
    "prores": Encoder(
        "prores_ks",
        {
            "yuv422p10le": ("1", "2", "3", "3"),  # LT, 422, HQ
            **dict.fromkeys(("yuv444p10le", "yuva444p10le"), ("4", "4", "4", "5")),  # 4444, 4444 XQ
        },
        {"vendor": "apl0"},
        knob="profile",
        limited_only=True,
        alpha=("yuva444p10le",),
    ),
    "dnxhr": Encoder(
        "dnxhd",
        {
            "yuv422p": ("dnxhr_lb", "dnxhr_sq", "dnxhr_hq", "dnxhr_hq"),
            "yuv422p10le": ("dnxhr_hqx",) * 4,
            "yuv444p10le": ("dnxhr_444",) * 4,
        },
        knob="profile",
        smallest=(256, 120),
        limited_only=True,
        matrices=(1,),
    ),
    "ffv1": Encoder(
        "ffv1",
        None,
        {"level": "3", "slicecrc": "1"},
        alpha=(
            *(f"yuva{chroma}p{depth}" for chroma in (420, 422, 444) for depth in ("", "9le", "10le", "16le")),
            *("yuva422p12le", "yuva444p12le", "gbrap10le", "gbrap12le", "gbrap14le", "gbrap16le"),
            *("bgra", "rgba64le", "ya8"),
        ),
    ),
    "y4m": Encoder("rawvideo", None, formats=Y4M_FORMATS),
    "png": Encoder(
        "png",
        None,
        formats=("rgb24", "rgb48be", "gray", "gray16be"),
        alpha=("rgba", "rgba64be", "ya8", "ya16be"),
    ),
    # half or float is the source's: see `choice`
    "exr": Encoder("exr", None, {"compression": "zip16"}, formats=("gbrpf32le",), alpha=("gbrapf32le",)),
}
# Without bitexact its identifiers are random, and no two files of one video the same.
MATROSKA = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
# Matroska's muxer has no name for DNxHR, MOV's none for FFV1 and AV1.
CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "hevc", "av1", "vp9"), {"movflags": "+faststart"}),
    ".m4v": Container("mp4", ("h264", "hevc", "av1"), {"movflags": "+faststart"}),
    ".mov": Container("mov", ("h264", "hevc", "prores", "dnxhr"), {"movflags": "+faststart"}),
    ".mkv": Container("matroska", ("h264", "hevc", "av1", "vp9", "prores", "ffv1"), MATROSKA),
    ".webm": Container("webm", ("vp9", "av1"), MATROSKA),
}

Y4M = Container("yuv4mpegpipe", ("y4m",), {"strict": "-1"}, alone=True)  # more than eight bits count as experimental
SEQUENCES = {f".{codec}": Container("image2", (codec,), alone=True) for codec in ("png", "exr")}


def container_for(path: Path) -> Container:
    """By the extension. AVI is not among them: it holds neither exact instants nor orientation nor colour tags."""
    suffix = path.suffix.lower()
    if is_pipe(path) or suffix == ".y4m":
        return Y4M
    if suffix in SEQUENCES:
        if pattern_of(path) is None:
            name = PLACE.sub("", path.stem).strip("_") or "f"  # of several places none is the number's
            example = path.with_name(f"{name}_%04d{suffix}")
            raise UserError(f"{path}: each frame becomes a picture of its own: give a pattern, such as {example}")
        return SEQUENCES[suffix]
    if suffix not in CONTAINERS:
        known = ", ".join([*CONTAINERS, ".y4m", *(f"_%04d{suffix}" for suffix in SEQUENCES)])
        raise UserError(f"{path}: cannot write {suffix or 'a file without extension'} (use {known})")
    return CONTAINERS[suffix]


def check_steady(path: Path, rate: Fraction | None) -> None:
    """Raises UserError where pictures of a variable rate (None) would lose their times."""
    if rate is None and container_for(path).alone:
        raise UserError(f"{path}: holds no times, and the input's rate is variable: give a constant one with --fps")


def _names_for(codec: str) -> list[str]:
    """What the name of a file with such pictures ends in."""
    return [ending for ending, each in (CONTAINERS | {".y4m": Y4M} | SEQUENCES).items() if codec in each.codecs]


def check_codec(path: Path, codec: str | None, quality: str | None = None) -> None:
    """Raises UserError for names and pairs that are wrong whatever the input is."""
    container = container_for(path)
    if codec is not None and codec not in ENCODERS:
        raise UserError(f"unknown codec {codec!r} (known: {', '.join(ENCODERS)})")
    if codec is not None and codec not in container.codecs:
        known, fit = ", ".join(container.codecs), ", ".join(_names_for(codec))
        raise UserError(f"{container.format} files do not hold {codec} (use {known}; {codec} goes into {fit})")
    if quality is not None and quality not in QUALITIES:
        raise UserError(f"unknown quality {quality!r} (known: {', '.join(QUALITIES)})")
    if codec is not None and quality is not None and ENCODERS[codec].levels is None:
        raise UserError(f"{codec} is lossless: quality {quality} says nothing to it, leave one of them out")
