"""A folder of videos into another one: a job for each, its record in a folder of the output that is not shown."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vidcm.data.arrays import file_digest, text_digest
from vidcm.interpolation.tree import Video
from vidcm.work.batch import Batch, Record

JOURNAL = ".vidcm"
Make = Callable[[Path, Path], Mapping[str, Any]]


@dataclass
class VideoRecord(Record):
    """What became of a video. name: see `Video`; report: see `stream.Report`."""

    name: str
    report: dict[str, Any] = field(default_factory=dict)


class Folder(Batch[Video, VideoRecord]):
    """Every video of a folder.

    load: gives what makes a video, (source, target) -> report, once, before the first one; what it raises ends the run.
    settings: what tells this run's outputs from another's.
    """

    smaller = "try another --device, or a smaller video"

    def __init__(self, folder: Path, load: Callable[[], Make], settings: Mapping[str, Any]) -> None:
        super().__init__(folder)
        self._load, self._settings = load, settings
        self._make: Make | None = None

    def load(self) -> None:
        self._make = self._load()

    def target(self, video: Video) -> Path:
        return video.target

    def place(self, video: Video) -> Path:
        return _place(self.folder, video.target)

    def record(self, video: Video, /, **known: Any) -> VideoRecord:
        return VideoRecord(**{**known, "name": video.name})

    def fingerprint(self, video: Video) -> str:
        return text_digest(json.dumps([file_digest(video.source), self._settings], sort_keys=True))

    def make(self, video: Video, record: VideoRecord) -> None:
        assert self._make is not None
        record.report = dict(self._make(video.source, video.target))

    def tidy(self, videos: Sequence[Video]) -> None:
        """Records of outputs that are gone, of videos that are gone, too."""
        journal, wanted = self.folder / JOURNAL, {self.place(video) for video in videos}
        for place in journal.rglob("*.json"):
            made = self.folder / place.relative_to(journal).with_suffix("")
            if place not in wanted and not made.exists():
                place.unlink()
        for folder in sorted((path for path in journal.rglob("*") if path.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()

    def summary(self, records: Sequence[VideoRecord]) -> dict[str, Any]:
        done = sum(record.status == "done" for record in records)
        each = [asdict(record) for record in records]
        return {"videos": len(records), "done": done, "failed": len(records) - done, "each": each}


def _place(folder: Path, target: Path) -> Path:
    """Of a video's record."""
    return folder / JOURNAL / f"{target.relative_to(folder).as_posix()}.json"


def record_of(target: Path) -> Path | None:
    """The file of its record, where a run of a folder made it."""
    target = target.absolute()
    return next((place for folder in target.parents if (place := _place(folder, target)).is_file()), None)
