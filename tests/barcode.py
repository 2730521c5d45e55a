"""Frames that tell which they are, behind any codec: a number in Gray code, and a hand that moves evenly.

Of the numbers k and k + 1 one cell alone differs. So what was made of those two frames reads as one of them, with that
cell in any grey, and what was mixed of others as neither. The hand stands where its frame's time is: of a made frame it
tells the very instant that is shown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = 128, 96
CELL, CELLS, LEFT, TOP = 8, 12, 8, 4  # pixels of a cell, how many, and where the first one is
STEP, ORIGIN, RADIUS = 2.0, 14.0, 10.0  # pixels: of the hand in a frame, its place at 0, its size
BLACK, WHITE = 16, 235
CLEAR = 60  # grey levels from black or white


@dataclass(frozen=True)
class Seen:
    """instant: seconds. number: what the cells say. is_clear: whether each is black or white. hand: in frames."""

    instant: Fraction
    number: int
    is_clear: bool
    hand: float


def picture(number: int, hand: float | None = None, size: tuple[int, int] = SIZE, scene: int = 0) -> np.ndarray:
    """uint8 RGB [H, W, 3]. hand: where it stands, by default at the number; scene: another one has another ground."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack([_ground(x, y, scene), _ground(y, x, scene + 1), np.full_like(x, 90 + 60 * (scene % 2))], axis=-1)
    at = ORIGIN + STEP * (number if hand is None else hand)
    shade = np.clip(RADIUS + 0.5 - np.hypot(x - at, y - 0.68 * height), 0, 1)[..., None]
    rgb = rgb * (1 - shade) + WHITE * shade
    rgb[: 2 * CELL] = BLACK
    for cell in range(CELLS):
        if (number ^ number >> 1) >> cell & 1:
            rgb[TOP : TOP + CELL, LEFT + cell * CELL :][:, :CELL] = WHITE
    return rgb.astype(np.uint8)


def _ground(x: np.ndarray, y: np.ndarray, scene: int) -> np.ndarray:
    return 80 + 30 * np.sin(x / (5 + 2 * scene) + scene) * np.cos(y / (9 - scene))


def look(rgb: np.ndarray, instant: Fraction = Fraction(0)) -> Seen:
    """uint8 RGB [H, W, 3], of any height that a codec left."""
    grey = rgb[..., 1].astype(float)
    inner = [grey[TOP + 2 : TOP + CELL - 2, LEFT + cell * CELL + 2 :][:, : CELL - 4].mean() for cell in range(CELLS)]
    code = sum((level > (BLACK + WHITE) / 2) << cell for cell, level in enumerate(inner))
    number = 0
    while code:
        number, code = number ^ code, code >> 1
    is_clear = all(min(level - BLACK, WHITE - level) < CLEAR for level in inner)
    middle = round(0.68 * len(grey))
    light = np.clip(grey[middle - 13 : middle + 14] - 150, 0, None).sum(0)
    place = float(np.average(np.arange(len(light)), weights=light + 1e-9))
    return Seen(instant, int(number), is_clear, (place - ORIGIN) / STEP)


def read(path: Path | str, crop: Callable[[np.ndarray], np.ndarray] = lambda rgb: rgb) -> list[Seen]:
    """Every frame that PyAV shows of a file, or of numbered pictures."""
    with av.open(str(path)) as container:
        return [
            look(crop(frame.to_ndarray(format="rgb24")), frame.pts * frame.time_base)
            for frame in container.decode(video=0)
        ]


def write(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    rate: Fraction | int = 24,
    instants: Sequence[Fraction] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    matrix: int = 2,
) -> Path:
    """instants: seconds, on a clock of 1/600; by default every 1/rate. matrix: its code, 2: none is said.

    H.264 has pictures that refer forward.
    """
    tick, frames = 1 / Fraction(rate) if instants is None else Fraction(1, 600), list(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or _usual(codec))
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        stream.time_base = stream.codec_context.time_base = tick
        stream.codec_context.colorspace = matrix
        if rotation:
            stream.set_display_rotation(rotation)
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts = index if instants is None else round(instants[index] / tick)
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _usual(codec: str) -> dict[str, str]:
    return {"crf": "12", "preset": "veryfast", "bf": "3", "g": "12"} if codec == "libx264" else {}
