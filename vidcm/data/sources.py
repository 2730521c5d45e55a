"""A file that was looked at for a dataset: what it is, which scenes it gave, what was dropped and why."""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.data.arrays import file_digest, is_whole, shrink, text_digest
from vidcm.data.scenes import Scene, SceneFinder
from vidcm.media.info import MediaWarning, readable
from vidcm.media.reader import VideoReader, open_reader

FRAMES, RECORDS = "frames", "sources"  # folders of a dataset


@dataclass(frozen=True)
class SourceFile:
    """path: where it lay; file: its name under the footage; source: what it shares with other scenes of one film.

    caption: what it shows; size: width and height as seen; rate: None if variable; counts: frames kept ("") and
    dropped, by reason; dropped: stretches (first frame, last frame, why); problems: what was wrong with the file, if
    anything was.
    """

    path: str
    file: str
    bytes: int = 0
    mtime_ns: int = 0
    digest: str = ""
    source: str = ""
    split: str = ""
    caption: str = ""
    size: tuple[int, int] = (0, 0)
    rate: Fraction | None = None
    cuts: int = 0
    counts: dict[str, int] | None = None  # None: it could not be read at all
    dropped: tuple[tuple[int, int, str], ...] = ()
    problems: tuple[str, ...] = ()
    scenes: tuple[Scene, ...] = ()

    @property
    def frames(self) -> int:
        return sum(scene.frames for scene in self.scenes)

    def is_unchanged(self) -> bool:
        """Whether the file still is what was looked at, and could be read then."""
        found = Path(self.path).stat()
        return self.counts is not None and (self.bytes, self.mtime_ns) == (found.st_size, found.st_mtime_ns)

    def is_whole(self, folder: Path) -> bool:
        """Whether the frames of all its scenes are in the dataset `folder`, undamaged."""
        return all(is_whole(folder / scene.array, scene.shape, scene.probe) for scene in self.scenes)

    def save(self, folder: Path) -> None:
        plain = asdict(self) | {"rate": None if self.rate is None else str(self.rate)}
        for scene in plain["scenes"]:
            scene["instants"] = " ".join(map(str, scene["instants"]))
        content = json.dumps(plain, ensure_ascii=False, indent=0)
        write_aside(record_path(folder, self.path), content.encode("utf-8", "surrogateescape"))


def record_path(folder: Path, path: str) -> Path:
    """Where a dataset keeps what it knows of the file at `path`."""
    return folder / RECORDS / f"{text_digest(path)}.json"


def load_records(folder: Path) -> dict[str, SourceFile]:
    """What earlier runs found, by path. A record that cannot be read counts as none: the file is looked at again."""
    records = {}
    for path in sorted((folder / RECORDS).glob("*.json")):
        try:
            record = _record(json.loads(path.read_text("utf-8", "surrogateescape")))
        except (ValueError, KeyError, TypeError):
            continue
        records[record.path] = record
    return records


def _record(plain: dict) -> SourceFile:
    scenes = tuple(
        Scene(**{**scene, "instants": tuple(map(Fraction, scene["instants"].split())), "shape": tuple(scene["shape"])})
        for scene in plain["scenes"]
    )
    rate = None if plain["rate"] is None else Fraction(plain["rate"])
    dropped = tuple((first, last, why) for first, last, why in plain["dropped"])
    facts = {"size": tuple(plain["size"]), "problems": tuple(plain["problems"])}
    return SourceFile(**{**plain, **facts, "rate": rate, "dropped": dropped, "scenes": scenes})


@dataclass(frozen=True)
class Survey:
    """How files are looked at: folder of the dataset, short side that frames shrink to, frames a scene must have."""

    folder: Path
    short_side: int | None
    min_frames: int

    def __call__(self, file: SourceFile, tick: Callable[[], None]) -> SourceFile:
        """Decode a file and write the frames of its scenes. What cannot be read comes back with `problems` instead.

        tick is called after each frame. Raises OSError only where the dataset cannot be written.
        """
        try:
            found = Path(file.path).stat()
            file = replace(file, bytes=found.st_size, mtime_ns=found.st_mtime_ns, digest=file_digest(Path(file.path)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MediaWarning)  # `problems` has them
                reader = open_reader(file.path)
        except (UserError, OSError) as error:
            return replace(file, problems=(_plain(error, file),))
        with reader, warnings.catch_warnings():
            warnings.simplefilter("ignore", MediaWarning)
            return self._look_through(file, reader, tick)

    def _look_through(self, file: SourceFile, reader: VideoReader, tick: Callable[[], None]) -> SourceFile:
        finder = SceneFinder(self.folder / FRAMES, file.digest, reader.info.average_rate, self.min_frames)
        problems: list[str] = []
        try:
            for instant, picture in _frames(reader, self.short_side, problems):
                finder.add(instant, picture)
                tick()
            finder.finish()
        finally:
            finder.discard()
        return replace(
            file,
            size=reader.info.display_size,
            rate=reader.info.rate,
            cuts=finder.cuts,
            counts=dict(finder.fates),
            dropped=tuple(finder.dropped),
            problems=tuple(_plain(problem, file) for problem in (*reader.problems, *problems)),
            scenes=tuple(replace(scene, array=f"{FRAMES}/{scene.array}") for scene in finder.scenes),
        )


def _frames(reader: VideoReader, short_side: int | None, problems: list[str]) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Instants and shrunken pictures, as far as the file can be read; why not further is added to `problems`."""
    frames = iter(reader)
    while True:
        try:
            with readable(reader.info.path):
                frame = next(frames, None)
                picture = None if frame is None else shrink(frame.rgb, short_side)
        except UserError as error:
            problems.append(str(error))
            return
        if frame is None or picture is None:
            return
        yield frame.instant, picture


def _plain(problem: object, file: SourceFile) -> str:
    """In one line, without the path that it is said of anyway."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return " ".join(str(problem).removeprefix(f"{file.path}: ").split())
