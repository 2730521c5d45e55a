"""`vidcm interpolate` of a folder: what is said of each video, and at the end."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm import __version__
from vidcm.core.processes import Processes
from vidcm.interpolation.progress import clock_time, emit
from vidcm.interpolation.tree import Video

if TYPE_CHECKING:
    from vidcm.interpolation.batch import Make, VideoRecord


def interpolate_folder(
    videos: Sequence[Video],
    folder: Path,
    load: "Callable[[], Make]",
    settings: Mapping[str, str],
    model: Path | None,
    processes: Processes,
    as_json: bool,
    on_ray: dict[str, Any] | None = None,
) -> bool:
    """Whether any failed. See `batch.Folder`; on_ray: the options of `make_all_on_ray`, else it is made here."""
    from vidcm.interpolation.batch import Folder
    from vidcm.pipelines.frame_interpolation import shipped_model
    from vidcm.work.batch import make_all

    known = {**settings, "version": __version__, "model": model_digest(model or shipped_model())}
    batch, share = Folder(folder, load, known), processes.share(videos)
    tell = Teller(as_json, {video.name: video.source.stat().st_size for video in share})
    if on_ray is None:
        records = make_all(batch, videos, processes=processes, tell=tell)
    else:
        from vidcm.work.cluster import make_all_on_ray

        records = make_all_on_ray(batch, videos, tell=tell, **on_ray)
    return processes.is_first and _end(records, folder, as_json)


def model_digest(folder: Path) -> str:
    """A hash of all that a model directory says and weighs."""
    from vidcm.data.arrays import file_digest, text_digest

    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    return text_digest("\n".join(f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in files))


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
        pace = (time.monotonic() - self.started) / max(self.made_bytes, 1)
        left_s = pace * sum(self.left.values())
        if self.as_json:
            facts = {key: getattr(record, key) for key in ("name", "status", "file", "error", "report")}
            emit("video", number=done, expected=count, left_s=round(left_s, 1), **facts)
            return
        left = f", {clock_time(left_s)} left" if self.made_bytes and left_s else ""
        said = {"done": _done(record.report), "kept": "was finished before"}.get(record.status, record.error)
        click.echo(f"[{done}/{count}] {record.name}: {said}{left}", err=True)
        for note in _notes(record.report) if record.status == "done" else ():
            click.echo(f"  {note}", err=True)


def _done(report: Mapping[str, Any]) -> str:
    if not report:
        return ""
    return f"{report['frames_out']} frames from {report['frames_in']}, in {clock_time(report['wall_s'])}"


def _notes(report: Mapping[str, Any]) -> list[str]:
    return [*report["problems"], *(f"left out: {stream}" for stream in report["dropped"])]


def _end(records: "list[VideoRecord]", folder: Path, as_json: bool) -> bool:
    """The sum, and a list of those that failed. Whether any did."""
    failed = [record for record in records if record.status != "done"]
    if as_json:
        emit("done", folder=str(folder), videos=len(records), done=len(records) - len(failed), failed=len(failed))
    else:
        click.echo(f"{folder}: {len(records) - len(failed)} of {len(records)} videos, summary.json has each")
    for record in failed:
        click.echo(f"failed: {record.name}: {record.error}", err=True)
    return bool(failed)
