"""YUV to RGB and back with the stream's own matrix and range, through libswscale with nothing left to its defaults.

Eight bits go all the way through it, more of them in floating point (see `deep`). The same tags, and the same guess
where a file has none, serve both directions: a picture that goes to RGB and returns keeps its colours.
"""

from dataclasses import dataclass, replace
from threading import Lock

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidcm.media import alpha, light
from vidcm.media.deep import depth_of, middle_format, rgb_of, yuv_of
from vidcm.media.names import has_alpha

UNKNOWN = 2  # "unspecified" in ITU-T H.273, for matrix, primaries and transfer alike
RGB, BT709, BT470BG, BT601, BT2020 = 0, 1, 5, 6, 9
LIMITED, FULL = 1, 2

# H.273 matrix code -> libswscale's name for it
MATRICES = {
    BT709: Colorspace.ITU709,
    4: Colorspace.FCC,
    BT470BG: Colorspace.ITU601,
    BT601: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    BT2020: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
# Bicubic chroma at full horizontal resolution: the default drops every second chroma sample on the way to RGB.
QUALITY = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Colour:
    """Colour tags of a stream, as ITU-T H.273 codes (range: 0 unknown, 1 limited, 2 full)."""

    matrix: int = UNKNOWN
    range: int = 0
    primaries: int = UNKNOWN
    transfer: int = UNKNOWN

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Colour":
        """The tags of a decoded frame; the yuvj formats mean full range whatever else is said."""
        full = frame.format.name.startswith("yuvj")
        return cls(frame.colorspace, FULL if full else frame.color_range, frame.color_primaries, frame.color_trc)

    def resolved(self, width: int, height: int) -> "Colour":
        """With a matrix and a range to compute with. Missing ones: BT.709 for HD sizes, else BT.601; limited."""
        guess = BT709 if width >= 1280 or height > 576 else BT601
        return replace(
            self,
            matrix=self.matrix if self.matrix in MATRICES else guess,
            range=self.range if self.range in (LIMITED, FULL) else LIMITED,
        )


class Converter:
    """Frames of one stream to RGB and back.

    colour: tags as the stream has them; width, height: in pixels, coded orientation; written: tags of what comes back,
    by default the same.
    """

    def __init__(self, colour: Colour, width: int, height: int, written: Colour | None = None) -> None:
        self.colour = colour.resolved(width, height)
        self._tags = written or colour
        self.written = self._tags.resolved(width, height)
        self._to_rgb, self._from_rgb = VideoReformatter(), VideoReformatter()
        self._turn = Lock()  # a reformatter is not for two threads at once

    def to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """A decoded frame of any pixel format -> uint8 RGB [H, W, 3], coded orientation."""
        if light.is_coloured(frame.format.name):
            return np.rint(self.to_deep_rgb(frame) * 255).astype(np.uint8)
        return self._reformat(self._to_rgb, frame, "rgb24", self.colour).to_ndarray()

    def to_deep_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """A decoded frame of any pixel format -> float32 RGB 0..1 [H, W, 3] at its full depth, coded orientation."""
        if light.is_coloured(frame.format.name):
            return light.display(light.light_of(frame)[..., :3]).clip(0, 1)
        if frame.format.is_rgb:
            is_deep = depth_of(frame.format.name) > 8  # libswscale makes 65280 of 255
            rgb = self._reformat(self._to_rgb, frame, "rgb48le" if is_deep else "rgb24", self.colour).to_ndarray()
            return rgb.astype(np.float32) / np.float32(65535 if is_deep else 255)
        yuv = self._reformat(self._to_rgb, frame, middle_format(frame.format.name), self.colour)
        return rgb_of(yuv, self.colour.matrix, self.colour.range == FULL)

    def from_rgb(self, rgb: np.ndarray, pix_fmt: str) -> av.VideoFrame:
        """RGB [H, W, 3] or RGBA, uint8 or float32 0..1 -> a frame in `pix_fmt`, in the written matrix and range; linear
        light, if that is one of floats."""
        if light.is_light(pix_fmt):
            return light.frame_of(rgb, pix_fmt)
        if has_alpha(pix_fmt):
            cover = rgb[..., 3] if rgb.shape[-1] == 4 else np.ones(rgb.shape[:2], np.float32)
            seen = rgb[..., :3]
            if depth_of(pix_fmt) == 8 and seen.dtype != np.uint8:
                seen = np.rint(seen.clip(0, 1) * np.float32(255)).astype(np.uint8)
            colours = self.from_rgb(seen, alpha.opaque(pix_fmt))
            return alpha.with_alpha(colours, alpha.codes_of(cover, pix_fmt), pix_fmt)
        if rgb.dtype == np.uint8 and depth_of(pix_fmt) > 8:
            rgb = rgb / np.float32(255)
        if rgb.dtype == np.uint8:
            return self.convert(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24"), pix_fmt)
        if av.VideoFormat(pix_fmt).is_rgb:
            deep = np.rint(rgb.clip(0, 1) * np.float32(65535)).astype(np.uint16)
            return self.convert(av.VideoFrame.from_ndarray(np.ascontiguousarray(deep), "rgb48le"), pix_fmt)
        yuv = yuv_of(rgb, self.written.matrix, self.written.range == FULL, middle_format(pix_fmt))
        return self._tagged(self._reformat(self._from_rgb, yuv, pix_fmt, self.written))

    def convert(self, frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
        """A frame of this stream, or RGB, in another pixel format, same colours; itself if it is as written."""
        names = frame.format.name, pix_fmt
        was_rgb, to_rgb = frame.format.is_rgb, av.VideoFormat(pix_fmt).is_rgb
        stays = was_rgb or to_rgb or _coding(self.colour) == _coding(self.written)
        if frame.format.name == pix_fmt and stays:
            return frame
        if light.is_light(pix_fmt):
            return light.frame_of(light.light_of(frame), pix_fmt)
        if has_alpha(pix_fmt) and has_alpha(names[0]):
            colours, codes = self.convert(frame, alpha.opaque(pix_fmt)), alpha.samples_of(frame)
            return alpha.with_alpha(colours, alpha.recoded(codes, *names), pix_fmt)
        if frame.format.has_palette:  # libswscale has one matrix for those
            return self.convert(self._reformat(self._from_rgb, frame, "rgb24", self.colour), pix_fmt)
        if not stays or (was_rgb != to_rgb and max(map(depth_of, names)) > 8):
            return self.from_rgb(self.to_deep_rgb(frame), pix_fmt)
        return self._tagged(self._reformat(self._from_rgb, frame, pix_fmt, self.written if was_rgb else self.colour))

    def _reformat(self, through: VideoReformatter, frame: av.VideoFrame, pix_fmt: str, colour: Colour) -> av.VideoFrame:
        """colour: of the side, or the sides, that are YUV."""
        matrix, known = MATRICES[colour.matrix], ColorRange(colour.range)
        with self._turn:
            return through.reformat(
                frame,
                format=pix_fmt,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                src_color_range=ColorRange.JPEG if frame.format.is_rgb else known,
                dst_color_range=ColorRange.JPEG if av.VideoFormat(pix_fmt).is_rgb else known,
                interpolation=QUALITY,
                threads=1,
            )

    def _tagged(self, frame: av.VideoFrame) -> av.VideoFrame:
        """With the tags that are written: some encoders (ProRes) read them from each frame."""
        frame.color_primaries, frame.color_trc = self._tags.primaries, self._tags.transfer
        frame.colorspace, frame.color_range = self._tags.matrix, self._tags.range
        return frame


def _coding(colour: Colour) -> tuple[int, int]:
    return colour.matrix, colour.range
