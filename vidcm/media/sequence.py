"""Numbered pictures, a frame each: `shots/f_%04d.png`, or a folder with nothing else in it.

They hold no times, so whoever names them says how many a second there are.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path

from vidcm.core.errors import UserError

PICTURES = (".png", ".exr", ".tif", ".tiff", ".dpx", ".jpg", ".jpeg", ".bmp", ".webp")
PLACE = re.compile(r"%(?:0(\d))?d")  # of the number in a name, with its least number of digits
NUMBER = re.compile(r"(.*?)(\d+)(\D*)")
NAMED = 5  # so many holes are named, the others counted


@dataclass(frozen=True)
class Pattern:
    """Names of numbered files. digits: how many a number has at least."""

    before: str
    digits: int
    after: str

    @classmethod
    def of(cls, name: str) -> "Pattern | None":
        """What `f_%04d.png` says; None for a name without a place for one number."""
        places = list(PLACE.finditer(name))
        if len(places) != 1:
            return None
        (place,) = places
        return cls(name[: place.start()], int(place[1] or 1), name[place.end() :])

    def __str__(self) -> str:
        return f"{self.before}{self.place}{self.after}"

    @property
    def place(self) -> str:
        return f"%0{self.digits}d" if self.digits > 1 else "%d"

    def name(self, number: int) -> str:
        return f"{self.before}{number:0{self.digits}}{self.after}"

    def numbers(self, names: Iterable[str]) -> list[int]:
        """Those of the names that are of this pattern, rising."""
        known = set(names)
        pattern = re.compile(f"{re.escape(self.before)}([0-9]+){re.escape(self.after)}")
        found = (int(match[1]) for name in known if (match := pattern.fullmatch(name)))
        return sorted({number for number in found if self.name(number) in known})


class ImageSequence(type(Path())):  # type: ignore[misc]  # a plain path to whoever only shows or compares it
    """`shots/f_%04d.png`, its first number, how many there are, and how many a second. Without holes."""

    pattern: Pattern
    rate: Fraction
    first: int
    count: int

    def __new__(cls, folder: Path, pattern: Pattern, rate: Fraction, first: int, count: int) -> "ImageSequence":
        made: ImageSequence = super().__new__(cls, folder, str(pattern))
        made.pattern, made.rate, made.first, made.count = pattern, rate, first, count
        return made

    def __init__(self, folder: Path, pattern: Pattern, *_: object) -> None:
        if type(Path()).__init__ is not object.__init__:  # from Python 3.12 on a path is made here
            super().__init__(folder, str(pattern))

    def with_segments(self, *segments: str) -> Path:
        """Python 3.12 asks for the kind of paths that are made from this one."""
        return Path(*segments)

    def absolute(self) -> "ImageSequence":
        """Path's own asks its kind for the working folder."""
        return ImageSequence(Path(self.parent).absolute(), self.pattern, self.rate, self.first, self.count)

    def __reduce__(self) -> tuple:
        return type(self), (Path(self.parent), self.pattern, self.rate, self.first, self.count)

    @property
    def ffmpeg_name(self) -> str:
        """As FFmpeg's image2 takes it."""
        return f"file:{escaped(Path(self.parent), self.pattern)}"

    @property
    def files(self) -> list[Path]:
        return [Path(self.parent) / self.pattern.name(self.first + place) for place in range(self.count)]


def escaped(folder: Path, pattern: Pattern) -> str:
    """With every % that is no number's place doubled."""
    before, after = (part.replace("%", "%%") for part in (str(folder / pattern.before), pattern.after))
    return f"{before if pattern.before else before + '/'}{pattern.place}{after}"


def pattern_of(path: Path) -> Pattern | None:
    """What the last part of a path says, unless there is a file that bears this very name."""
    if path.suffix.lower() not in PICTURES or path.exists():
        return None
    return Pattern.of(path.name)


def as_path(path: str | Path) -> Path:
    """A path of the kind it is: `Path` itself would make a plain one of numbered pictures."""
    return path if isinstance(path, Path) else Path(path)


def is_sequence(path: Path) -> bool:
    """Whether it can mean numbered pictures: a pattern that is no file itself, or a folder with pictures in it."""
    if path.is_dir():
        return any(map(_is_picture, path.iterdir()))
    return pattern_of(path) is not None


def row_of(path: Path) -> str:
    """The pattern of the row that a picture may be one of, by its name; an example where that has no number."""
    part = NUMBER.fullmatch(path.stem) if path.suffix.lower() in PICTURES else None
    if part is None:
        return "f_%04d.png"
    return str(path.with_name(f"{Pattern(part[1], len(part[2]), part[3])}{path.suffix}"))


def find_sequence(path: Path, rate: Fraction) -> ImageSequence:
    """The pictures that `path`, of which `is_sequence` holds, means. Raises UserError for holes, and for none."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        raise UserError(f"{path}: the folder {folder} does not exist: check the path")
    names = sorted(each.name for each in folder.iterdir())
    pattern = _only_pattern(folder, names) if path.is_dir() else pattern_of(path)
    assert pattern is not None
    numbers = pattern.numbers(names)
    if not numbers:
        raise UserError(
            f"{path}: no picture of this pattern, such as {pattern.name(1)}, is in {folder}: check the name"
        )
    holes = _holes(numbers)
    if holes:
        raise UserError(f"{folder / str(pattern)}: of {numbers[0]}-{numbers[-1]}, {holes}: put them there, or renumber")
    return ImageSequence(folder, pattern, rate, numbers[0], len(numbers))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _only_pattern(folder: Path, names: Sequence[str]) -> Pattern:
    parts = [NUMBER.fullmatch(name) for name in names if _is_picture(Path(name))]
    numbered = sorted(((part[1], part[3]), part[2]) for part in parts if part)
    if len(numbered) < len(parts):
        raise UserError(f"{folder}: not all of its pictures are numbered: name them, such as {folder / 'f_%04d.png'}")
    found = []
    for (before, after), group in groupby(numbered, key=lambda each: each[0]):
        numbers = [number for _, number in group]
        found.append(Pattern(before, min(map(len, numbers)), after))
    if len(found) > 1:
        named = ", ".join(str(folder / str(pattern)) for pattern in found[:NAMED])
        raise UserError(f"{folder}: holds {len(found)} rows of pictures: name one of them, {named}")
    return found[0]


def _holes(numbers: Sequence[int]) -> str:
    """`12, 15-17 are missing`; nothing where none is."""
    holes = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    if not holes:
        return ""
    named = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in holes[:NAMED])
    more = f" and {len(holes) - NAMED} more stretches" if len(holes) > NAMED else ""
    is_one = len(holes) == 1 and holes[0][0] == holes[0][1]
    return f"{named}{more} {'is' if is_one else 'are'} missing"
