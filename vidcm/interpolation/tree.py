"""Every video of a folder, and where its interpolated one goes: names and tree are kept. Imports nothing heavy."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vidcm.core.errors import UserError, WrongUse
from vidcm.data.splits import SUFFIXES
from vidcm.interpolation.check import check_target
from vidcm.media.encoders import CONTAINERS, check_codec
from vidcm.media.sequence import is_sequence

PICTURES_HINT = "; of numbered pictures say the rate with --input-fps"


@dataclass(frozen=True)
class Video:
    """name: of the source below its folder, with forward slashes."""

    name: str
    source: Path
    target: Path


def check_folders(source: Path, target: Path) -> None:
    """Raises UserError unless `target` is or can become a folder apart from the folder `source`."""
    if target.is_file() or (not target.exists() and target.suffix.lower() in SUFFIXES):
        told = f"{source} is a folder, so -o must name a folder too, got {target}: name one, or a file in it"
        raise WrongUse(told + (PICTURES_HINT if is_sequence(source) else ""))
    above, below = source.resolve(), target.resolve()
    if above == below:
        raise WrongUse(f"{target} is the input folder itself: choose another folder for the output")
    if below.is_relative_to(above):
        raise WrongUse(f"{target} is inside the input folder {source}: choose a folder outside it")
    if above.is_relative_to(below):
        raise WrongUse(f"the input folder {source} is inside {target}: choose a folder that does not hold it")
    if not target.exists():
        check_target(target)


def parse_suffix(text: str) -> str:
    """`mp4` or `.mp4`. Raises UserError for one that is not written here."""
    suffix = "." + text.strip().lower().removeprefix(".")
    if suffix not in CONTAINERS:
        raise WrongUse(f"--suffix must be one of {', '.join(CONTAINERS)}, got {text[:60]!r}")
    return suffix


def videos_below(source: Path, target: Path, suffix: str | None = None) -> list[Video]:
    """By name, hidden ones left out. suffix: of all targets; None keeps each its own.

    Raises UserError where there is none, or two would become one file.
    """
    names = [path.relative_to(source) for path in source.rglob("*") if path.suffix.lower() in SUFFIXES]
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    files = sorted((name for name in shown if (source / name).is_file()), key=Path.as_posix)
    if not files:
        told = f"{source} holds no video: name a folder with files such as a.mp4 (known: {_listed(SUFFIXES)})"
        raise UserError(told + (PICTURES_HINT if is_sequence(source) else ""))
    videos: dict[str, Video] = {}
    for name in files:
        goal = target / (name.with_suffix(suffix) if suffix else name)
        video = Video(name.as_posix(), source / name, goal)
        other = videos.setdefault(str(goal).casefold(), video)
        if other is not video:
            raise UserError(
                f"{other.name} and {video.name} would both become {goal}: rename one"
                + (", or leave --suffix out" if suffix else "")
            )
    return list(videos.values())


def check_codecs(videos: Iterable[Video], codec: str | None, quality: str | None) -> None:
    """Raises UserError for codec and quality that fit none of the targets; where they fit some, the others fail."""
    refused: UserError | None = None
    for suffix in sorted({video.target.suffix.lower() for video in videos}):
        try:
            check_codec(Path(f"out{suffix}"), codec, quality)
        except UserError as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise WrongUse(f"{refused}; --suffix names another one for all")


def _listed(names: Iterable[str]) -> str:
    return " ".join(sorted(names))
