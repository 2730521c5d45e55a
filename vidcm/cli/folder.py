"""`vidcm interpolate` of a folder: every video, what is said of each, and at the end."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm import __version__
from vidcm.cli.file import Shared
from vidcm.cli.identity import model_digest
from vidcm.cli.options import judged
from vidcm.core.shipped import shipped
from vidcm.interpolation.journal import IF_IT_FITS
from vidcm.interpolation.progress import clock_time, emit
from vidcm.interpolation.tree import Video, check_codecs, parse_suffix, videos_below

if TYPE_CHECKING:
    from vidcm.interpolation.batch import Make, VideoRecord


def interpolate_folder(
    source: Path, folder: Path, suffix: str | None, shared: Shared, on_ray: dict[str, Any] | None
) -> bool:
    """Whether any failed. suffix: of the outputs; on_ray: the options of `make_all_on_ray`, else they are made here."""
    if on_ray is not None:  # workers start in a folder of their own
        source, folder, shared = source.absolute(), folder.absolute(), shared.absolute()
    videos = videos_below(source, folder, None if suffix is None else judged(parse_suffix, suffix))
    judged(check_codecs, videos, shared.how["codec"], shared.how["quality"])
    from vidcm.interpolation.batch import Folder
    from vidcm.work.batch import make_all

    batch, share = Folder(folder, partial(_load, shared), _settings(shared)), shared.processes.share(videos)
    tell = Teller(shared.as_json, {video.name: video.source.stat().st_size for video in share})
    if on_ray is None:
        records = make_all(batch, videos, processes=shared.processes, tell=tell)
    else:
        from vidcm.work.cluster import make_all_on_ray

        records = make_all_on_ray(batch, videos, tell=tell, **on_ray)
    return shared.processes.is_first and _end(records, videos, folder, shared.as_json)


def _load(shared: Shared) -> "Make":
    """What makes a video. A run that was interrupted in one goes on. The model is read when the first one comes to need
    it, so not where all that is left is refused."""
    from vidcm.work.batch import needed

    loaded = needed(shared.loader())
    return lambda source, target: shared.make(source, target, loaded, IF_IT_FITS).as_dict()


def _settings(shared: Shared) -> dict[str, str]:
    """What tells this run's outputs from another's."""
    said = {
        name: repr(value)
        for name, value in {**shared.how, **shared.sampling}.items()
        if name not in ("device", "memory")
    }
    return {**said, "version": __version__, "model": model_digest(shared.model or shipped("motion"))}


class Teller:
    """A line for each video that is behind us, with the time that is left at this pace.

    sizes: bytes of each by name, by which the time is judged.
    """

    def __init__(self, as_json: bool, sizes: Mapping[str, int]) -> None:
        self.as_json, self.left = as_json, dict(sizes)
        self.started, self.made_bytes = time.monotonic(), 0

    def __call__(self, record: "VideoRecord", video: Video, done: int, count: int) -> None:
        size = self.left.pop(video.name)
        self.made_bytes += size if record.status == "done" else 0
        left_s = self._left_s()
        if self.as_json:
            facts = {key: getattr(record, key) for key in ("name", "status", "file", "error", "remark", "report")}
            emit("video", number=done, expected=count, left_s=left_s, **facts)
            return
        left = f", {clock_time(left_s)} left" if left_s else ""
        made = {"done": _done(record.report), "kept": record.remark or "was finished before"}
        said = made[record.status] if record.status in made else _reason(record, video)
        click.echo(f"[{done}/{count}] {record.name}: {said}{left}", err=True)
        for note in _notes(record.report) if record.status == "done" else ():
            click.echo(f"  {note}", err=True)

    def _left_s(self) -> float | None:
        """None while nothing has been made that would tell."""
        left = sum(self.left.values())
        if not left:
            return 0.0
        return round((time.monotonic() - self.started) / self.made_bytes * left, 1) if self.made_bytes else None


def _done(report: Mapping[str, Any]) -> str:
    if not report:
        return ""
    return f"{report['frames_out']} frames from {report['frames_in']}, in {clock_time(report['wall_s'])}"


def _reason(record: "VideoRecord", video: Video) -> str:
    """Why it failed, without the path of the video, which is named before."""
    return (record.error or "").removeprefix(str(video.source)).lstrip(": ")


def _notes(report: Mapping[str, Any]) -> list[str]:
    return [*report["problems"], *(f"not kept: {stream}" for stream in report["dropped"])]


def _end(records: "list[VideoRecord]", videos: list[Video], folder: Path, as_json: bool) -> bool:
    """The sum, and a list of those that failed. Whether any did."""
    failed = [(record, video) for record, video in zip(records, videos, strict=True) if record.status != "done"]
    if as_json:
        emit("done", folder=str(folder), videos=len(records), done=len(records) - len(failed), failed=len(failed))
    else:
        videos = "1 video" if len(records) == 1 else f"{len(records)} videos"
        click.echo(f"{folder}: {len(records) - len(failed)} of {videos}, summary.json has each")
    for record, video in failed:
        click.echo(f"failed: {record.name}: {_reason(record, video)}", err=True)
    return bool(failed)
