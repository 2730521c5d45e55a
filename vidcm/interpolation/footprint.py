"""What a run of `vidcm interpolate` holds in memory, on the CPU, decoding with one thread. Not less than it will be."""

import math
from dataclasses import dataclass

import av

from vidcm.core.large import LARGE, is_large
from vidcm.core.memory import MIB
from vidcm.core.working import working_size
from vidcm.media.choice import Choice
from vidcm.media.deep import depth_of
from vidcm.media.encoders import Encoder
from vidcm.media.info import VideoInfo
from vidcm.media.light import is_light
from vidcm.media.names import is_rgb

BASE = 416 * MIB  # Python, torch and the weights, whatever the pictures' own size: `benchmarks.large`
NETWORK = 900  # bytes of a pixel at working size: at work, with what the allocator keeps between its blocks,
EACH_AT_ONCE = 450  # for every in-between of a pair whose motion is found with that of the first,
SEEN = 21  # and what it saw of a pair's last frame, kept for the next pair
KEPT = 0.6  # the share of NETWORK that the allocator keeps after it, and gives to smaller blocks again
TOGETHER = 8  # in-between frames of a pair per call: bounds the memory of a long gap
WATCHED = 7  # source frames that wait where overlays are looked for, see `overlays.AHEAD`
STRIP = 2**18  # pixels that are made at once without asking, see `models.synthesis`
OF_A_STRIP = 400  # bytes for each of its pixels, those around it counted
FLOAT = 4  # bytes of a value
REFERRED = 47_000_000  # pixels that decoding refers to by level 5.2 of H.264 and HEVC: 5 pictures of 4K
MOST_REFERRED = 16
INTRA = ("prores", "dnxhd", "ffv1", "mjpeg", "png", "rawvideo", "exr")  # decoders: no picture refers to another
# MiB of each million pixels of eight bits in 4:2:0, with 2 threads, measured on 36 frames of 1080p: as usual, for large
# pictures, and brief; and how many times as much where it is more bits: half of what x265 holds are no samples.
ENCODERS = {
    "h264": (104, 82, 59, 1.85),
    "hevc": (190, 155, 125, 1.6),
    "av1": (270, 191, 191, 2.0),
    "vp9": (125, 105, 90, 2.0),
    "prores": (7, 7, 7, 2.0),  # 13 at its 4:2:2 of ten bits
    "ffv1": (41, 41, 41, 1.3),
}
OTHER_ENCODERS = (41, 41, 41, 2.0)  # DNxHR and pictures by themselves take less


@dataclass(frozen=True)
class Way:
    """How a run is made: pixels that are made at once (None: as many as it likes); whether no more is held of each
    source frame than of a large one; gaps, and made frames, that wait for the next stage; threads that encode (None: as
    many as there are cores); whether the encoder sees fewer pictures ahead."""

    strip: int | None = None
    is_lean: bool = False
    gaps_ahead: int = 1
    frames_ahead: int = 2
    encoders: int | None = None
    is_brief: bool = False

    def options(self, encoder: Encoder) -> dict[str, str]:
        """What the encoder is told, beside what it is told anyway."""
        threads = {} if self.encoders is None else {"threads": str(self.encoders)}
        return {**threads, **(encoder.brief or encoder.large if self.is_brief else {})}


@dataclass(frozen=True)
class Run:
    """What a run is. width, height: of the source; native: bytes of its pixel as decoded; written: of one as the
    encoder takes it; encoded: pixels of an output picture; bytes_written: of a sample of it; planes: that are moved;
    is_deep: whether eight bits would lose something; in_bands: whether floats become what the encoder takes a few rows
    at a time; together: in-betweens of a pair that are made at once; waiting: source frames that wait until more were
    seen; readers: of the source that are open at once; refers: whether decoding one picture takes others."""

    width: int
    height: int
    codec: str
    native: float
    written: float
    encoded: int
    bytes_written: int = 1
    planes: int = 3
    is_deep: bool = False
    in_bands: bool = True
    together: int = 1
    waiting: int = 0
    readers: int = 1
    refers: bool = True

    @property
    def pixels(self) -> int:
        return self.width * self.height


def run_of(info: VideoInfo, shape: VideoInfo, choice: Choice, *, together: int, overlays: bool, readers: int) -> Run:
    """info: of the source; shape: of the output; overlays: whether they are looked for."""
    planes = 3 + choice.has_alpha if not is_light(info.pix_fmt) else 7
    # pictures of eight bits in limited range may go beyond it, and are then moved as floats: see `deep.overshoots`
    is_deep = info.bit_depth > 8 or not is_rgb(info.pix_fmt)
    return Run(
        info.width,
        info.height,
        choice.codec,
        native=bytes_of_pixel(info.pix_fmt),
        written=bytes_of_pixel(choice.pix_fmt),
        encoded=shape.width * shape.height,
        bytes_written=1 if depth_of(choice.pix_fmt) == 8 else 2,
        planes=planes,
        is_deep=is_deep,
        in_bands=planes == 3 and not is_rgb(choice.pix_fmt),
        together=together,
        waiting=WATCHED if overlays else 0,
        readers=readers,
        refers=info.codec not in INTRA,
    )


def bytes_of_pixel(pix_fmt: str) -> float:
    return av.VideoFormat(pix_fmt).padded_bits_per_pixel / 8


def bytes_of(run: Run, way: Way) -> int:
    """Resident at the peak of a run."""
    parts = decoding(run), held(run, way), working(run, way), encoding(run, way)
    return round(BASE + sum(parts))


def decoding(run: Run) -> float:
    referred = 3 + (min(MOST_REFERRED, REFERRED // run.pixels + 1) if run.refers else 0)
    return run.readers * referred * run.native * run.pixels


def held(run: Run, way: Way) -> float:
    """Source frames: the pair and those beside it, those of the gaps that wait, and what finding cuts looks at."""
    frames = 6 + 2 * way.gaps_ahead
    native = (frames + run.waiting + way.frames_ahead) * run.native
    if way.is_lean or is_large(run.height, run.width):
        return (native + 3 * 2) * run.pixels
    return (native + frames * (3 + FLOAT * run.planes)) * run.pixels


def working(run: Run, way: Way) -> float:
    """Both ends in floats, and the network at work or, behind it, what is made of them and shown. With nothing ahead
    nothing is shown while the network works."""
    small = math.prod(working_size(run.height, run.width))
    network, kept = (NETWORK + EACH_AT_ONCE * (run.together - 1)) * small, KEPT * NETWORK * small
    ends, meanwhile = 2 * FLOAT * run.planes * run.pixels, showing(run, way) if way.frames_ahead else 0
    return SEEN * small + ends + max(network + meanwhile, making(run, way, kept) + showing(run, way))


def making(run: Run, way: Way, kept: float) -> float:
    """A frame, how sure it is, and a strip, which takes of what is kept."""
    return FLOAT * (run.planes + 2) * run.pixels + max(kept, OF_A_STRIP * min(way.strip or STRIP, run.pixels))


def showing(run: Run, way: Way) -> float:
    """Made frames that wait, one on its way, and one on its way to what the encoder takes: see `deep.yuv_of`."""
    sample = FLOAT if run.is_deep else 1
    waiting = sample * run.planes * (way.frames_ahead + 2)
    middle = 2 * sample if not run.in_bands else 2 if run.is_deep else 1
    return (waiting + middle * run.planes + run.written) * run.pixels


def encoding(run: Run, way: Way) -> float:
    usual, large, brief, deep = ENCODERS.get(run.codec, OTHER_ENCODERS)
    each = brief if way.is_brief else large if run.encoded > LARGE else usual
    samples = run.written / run.bytes_written / 1.5
    return each * (deep if run.bytes_written > 1 else 1) * samples * MIB / 1e6 * run.encoded
