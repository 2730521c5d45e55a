"""HDR10 static metadata: the display a film was mastered on, and how bright its content gets.

Read from a decoded frame; written by the encoder into its own stream, each in its own spelling. Codecs that have no
place for it (VP9, ProRes, DNxHR, FFV1) would need the container's, which PyAV cannot write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

DYNAMIC = {"DYNAMIC_HDR_PLUS": "HDR10+", "DOVI_RPU_BUFFER": "Dolby Vision", "DYNAMIC_HDR_VIVID": "HDR Vivid"}
CHROMATICITY, LUMINANCE = 50_000, 10_000  # units per 1 and per cd/m2 in H.264's and HEVC's messages


@dataclass(frozen=True)
class Mastering:
    """CIE x, y of red, green, blue and white; darkest and brightest in cd/m2. SMPTE ST 2086."""

    points: tuple[tuple[Fraction, Fraction], ...]
    luminance: tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Hdr:
    """light: MaxCLL and MaxFALL, cd/m2; dynamic: names of metadata that differ from frame to frame."""

    mastering: Mastering | None = None
    light: tuple[int, int] | None = None
    dynamic: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Hdr":
        found = {data.type.name: bytes(data) for data in cast(Any, frame.side_data)}
        mastering, light = found.get("MASTERING_DISPLAY_METADATA"), found.get("CONTENT_LIGHT_LEVEL")
        return cls(
            _mastering(mastering) if mastering else None,
            tuple(np.frombuffer(light[:8], "=u4").tolist()) if light else None,
            tuple(name for kind, name in DYNAMIC.items() if kind in found),
        )

    @property
    def names(self) -> list[str]:
        """What of the static kind there is."""
        return ["mastering display"] * bool(self.mastering) + ["content light level"] * bool(self.light)


def _mastering(data: bytes) -> Mastering | None:
    """AVMasteringDisplayMetadata: ten fractions and two flags that say which of them count."""
    numbers = np.frombuffer(data[:88], "=i4").tolist()
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    values = [Fraction(top, bottom) for top, bottom in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
    return Mastering(tuple(zip(values[:8:2], values[1:8:2], strict=True)), (values[8], values[9]))


def _whole(mastering: Mastering, chromaticity: int, luminance: int) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(brightest,darkest) in whole units."""
    red, green, blue, white = [",".join(str(round(chromaticity * value)) for value in p) for p in mastering.points]
    darkest, brightest = (round(luminance * value) for value in mastering.luminance)
    return f"G({green})B({blue})R({red})WP({white})L({brightest},{darkest})"


def _decimal(mastering: Mastering) -> str:
    red, green, blue, white = [",".join(f"{float(value):.6f}" for value in point) for point in mastering.points]
    darkest, brightest = (f"{float(value):.4f}" for value in mastering.luminance)
    return f"G({green})B({blue})R({red})WP({white})L({brightest},{darkest})"


def _x265(hdr: Hdr) -> str:
    light = f"max-cll={hdr.light[0]},{hdr.light[1]}" if hdr.light else ""
    shown = f"master-display={_whole(hdr.mastering, CHROMATICITY, LUMINANCE)}" if hdr.mastering else ""
    return ":".join(filter(None, [shown, light]))


def _x264(hdr: Hdr) -> str:
    return _x265(hdr).replace("master-display", "mastering-display").replace("max-cll", "cll")


def _svt(hdr: Hdr) -> str:
    light = f"content-light={hdr.light[0]},{hdr.light[1]}" if hdr.light else ""
    shown = f"mastering-display={_decimal(hdr.mastering)}" if hdr.mastering else ""
    return ":".join(filter(None, [shown, light]))


# FFmpeg's encoder -> the option that takes metadata, and how it is spelled there
SPELLINGS: dict[str, tuple[str, Callable[[Hdr], str]]] = {
    "libx264": ("x264-params", _x264),
    "libx265": ("x265-params", _x265),
    "libsvtav1": ("svtav1-params", _svt),
}


def with_hdr(options: dict[str, str], encoder: str, hdr: Hdr) -> dict[str, str]:
    """The options, and those that make the encoder write the static metadata, where it can."""
    if not hdr.names or encoder not in SPELLINGS:
        return options
    option, spell = SPELLINGS[encoder]
    return {**options, option: ":".join(filter(None, [options.get(option, ""), spell(hdr)]))}


def lost(encoder: str, hdr: Hdr) -> list[str]:
    """What does not come along, one line each with the reason."""
    static = [] if encoder in SPELLINGS else [f"HDR10 {name}: {encoder} has no place for it" for name in hdr.names]
    return static + [
        f"{name} metadata: it is made for the source's frames, not for those in between" for name in hdr.dynamic
    ]
