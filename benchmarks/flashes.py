"""How many flashes are found, and how often light is taken for one: `python -m benchmarks.flashes FOOTAGE/clips`.

Each clip as it is, every fourth frame of it, and with light put on single frames, on small pictures of it. A flash is
found if its very frames are told; one that is taken for a cut keeps its light to itself, too. A trap counts each frame
that is told.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.cuts import shots_of
from benchmarks.overlays import clips
from vidcm.media.flash import MOST, Levels, flash_length
from vidcm.media.reader import open_reader
from vidcm.media.shots import thumbnail

EACH = 16  # frames from one change of light to the next
Light = Callable[[np.ndarray, int], np.ndarray]  # a picture 0..255 float [H, W, 3], and its place among EACH


def _rows(picture: np.ndarray, lit: slice) -> np.ndarray:
    """As a shutter that rolls over the rows has them."""
    made = picture.copy()
    made[lit] = 1.8 * made[lit] + 40
    return made


def _around(picture: np.ndarray) -> np.ndarray:
    """Near the middle."""
    y, x = (np.linspace(-1, 1, side) for side in picture.shape[:2])
    near = np.exp(-(y[:, None] ** 2 + x**2) / 0.6)[..., None]
    return picture * (1 + 1.2 * near) + 30 * near


def at(place: int, light: Callable[[np.ndarray], np.ndarray]) -> Light:
    return lambda picture, index: light(picture) if index == place else picture


FLASHES: dict[str, tuple[int, Light]] = {  # frames of each, the first at EACH // 2
    "1.67 times": (1, at(8, lambda picture: picture / 0.6)),
    "white": (1, at(8, lambda picture: 0 * picture + 255)),
    "burnt out": (1, at(8, lambda picture: 3 * picture + 60)),
    "near the middle": (1, at(8, _around)),
    "half as bright": (1, at(8, lambda picture: 0.5 * picture)),
    "half of one frame": (1, at(8, lambda picture: _rows(picture, slice(len(picture) // 2, None)))),
    "two frames": (2, lambda picture, index: {8: 2.0, 9: 1.5}.get(index, 1.0) * picture),
    "rolling shutter": (
        2,
        lambda picture, index: (
            _rows(picture, slice(len(picture) // 2, None))
            if index == 8
            else _rows(picture, slice(len(picture) // 2))
            if index == 9
            else picture
        ),
    ),
}
TRAPS: dict[str, Light] = {
    "as it is": lambda picture, index: picture,
    "fade": lambda picture, index: picture * abs(1 - index / 8),
    "exposure jump": lambda picture, index: picture * (1.8 if index >= 8 else 1.0),
    "explosion": lambda picture, index: picture * (1 + 2 * 0.8 ** (index - 8) if index >= 8 else 1.0),
    "three frames": lambda picture, index: picture * (1.8 if 8 <= index <= 10 else 1.0),
    "strobe": lambda picture, index: picture * (1.8 if index % 2 else 1.0),
    "black gap": at(8, lambda picture: 0 * picture),
}


def told_in(pictures: list[np.ndarray]) -> tuple[set[int], set[int]]:
    """Frames that are taken for lit, and those for the start of a shot, as in a file."""
    shots, told = shots_of(pictures), set[int]()

    def levels(index: int) -> Levels | None:
        return None if index >= len(shots) or shots[index].is_cut else shots[index].frame.levels

    begin = 0
    for index, shot in enumerate(shots):
        begin = index if shot.is_cut else begin
        earlier = [each.frame.levels for each in shots[max(begin, index - MOST) : index]]
        count = flash_length(earlier, shot.frame.levels, lambda place, first=index + 1: levels(first + place))  # type: ignore[misc]
        told.update(range(index + 1, index + 1 + count))
    return told, {index for index, each in enumerate(shots) if each.is_cut}


def lit(pictures: list[np.ndarray], light: Light) -> list[np.ndarray]:
    return [
        light(each.astype(np.float32), index % EACH).clip(0, 255).round().astype(np.uint8)
        for index, each in enumerate(pictures)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="+", help="files, or folders with a manifest.csv")
    there, found, left, extra = (dict.fromkeys(FLASHES, 0) for _ in range(4))
    false, frames = dict.fromkeys([*TRAPS, "every fourth frame"], 0), 0
    for path in clips(parser.parse_args().clips):
        with open_reader(path) as reader:
            pictures = [thumbnail(frame.seen) for frame in reader]
        frames += len(pictures)
        for name, light in TRAPS.items():
            false[name] += len(told_in(lit(pictures, light))[0])
        false["every fourth frame"] += len(told_in(pictures[::4])[0])
        for name, (count, light) in FLASHES.items():
            (told, cut), wanted = told_in(lit(pictures, light)), range(EACH // 2, len(pictures) - count, EACH)
            there[name] += len(wanted)
            found[name] += sum(told >= set(range(first, first + count)) for first in wanted)
            left[name] += sum(not cut.isdisjoint(range(first, first + count + 1)) for first in wanted)
            extra[name] += len(told - {first + place for first in wanted for place in range(count)})
    print(f"{frames} frames")
    for name, count in false.items():
        print(f"{name:<20}{count} taken for lit")
    for name, count in there.items():
        print(f"{name:<20}{found[name]} of {count} found, {left[name]} taken for cuts; {extra[name]} others")


if __name__ == "__main__":
    main()
