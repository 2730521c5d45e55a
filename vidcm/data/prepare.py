"""From footage to a dataset: scenes found, frames decoded, splits settled. Run again, it does only what is new."""

import errno
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.data.arrays import file_digest, shrunken_size
from vidcm.data.clips import ClipCache
from vidcm.data.collect import collect
from vidcm.data.dataset import SHEET, PrepareConfig, open_folder
from vidcm.data.dividing import settle_splits
from vidcm.data.manifest import write_manifest
from vidcm.data.parallel import run_jobs
from vidcm.data.sheet import contact_sheet, save_sheet
from vidcm.data.sources import FRAMES, SourceFile, Survey, load_records, record_path
from vidcm.data.splits import Entry
from vidcm.media.info import MediaWarning, readable
from vidcm.media.reader import open_reader

GIB = 2**30


@dataclass(frozen=True)
class Prepared:
    """What there is now. new: how many files were looked at this time; copies: path -> path of the same content."""

    folder: Path
    files: tuple[SourceFile, ...]
    new: int
    copies: Mapping[str, str]
    gone: tuple[str, ...]

    def of_split(self, split: str) -> list[SourceFile]:
        return [file for file in self.files if file.split == split and file.scenes]

    @property
    def unreadable(self) -> list[SourceFile]:
        return [file for file in self.files if file.counts is None]

    @property
    def counts(self) -> Counter[str]:
        """Frames kept ("") and dropped, by reason."""
        return sum((Counter(file.counts) for file in self.files if file.counts), Counter())


def silent(done: int, expected: int) -> None:
    """Show no progress."""


def prepare(
    footage: Sequence[Path | str] | Path | str,
    folder: Path | str,
    config: PrepareConfig | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = silent,
) -> Prepared:
    """Make the dataset `folder` of the videos in `footage` (a folder or file, or several), or bring it up to date.

    Files prepared earlier stay in it unless they lay in a folder named this time and are no longer there.
    progress(done, expected): frames, now and then.
    """
    config, folder = config or PrepareConfig(), Path(folder)
    footage = [Path(each) for each in ([footage] if isinstance(footage, Path | str) else footage)]
    entries = collect(footage)
    with open_folder(folder, config):
        records = load_records(folder)
        found = _as_before(folder, entries, records)
        jobs = [_job(path, entry, records) for path, entry in entries.items() if path not in found]
        expected = _expect(folder, jobs, config)
        survey = Survey(folder, config.short_side, config.min_frames)
        with _room_in(folder):
            for file in run_jobs(survey, jobs, workers, lambda done: progress(done, max(done, expected))):
                file.save(folder)
                found[file.path] = file
        gone = [path for path in records if path not in found and _is_below(path, footage)]
        others = {path: file for path, file in records.items() if path not in found and path not in gone}
        files = [_with_source(found[path], entry) for path, entry in entries.items()]
        return _finish(folder, files, others, entries, config, len(jobs), gone)


def _as_before(folder: Path, entries: Iterable[str], records: Mapping[str, SourceFile]) -> dict[str, SourceFile]:
    """The files that need no second look, by path: unchanged, or known by another name."""
    whole = {path: file for path, file in records.items() if file.counts is not None and file.is_whole(folder)}
    sizes = {file.bytes for file in whole.values()}
    contents = {file.digest: file for file in whole.values()}
    found = {}
    for path in entries:
        with suppress(OSError):  # what cannot be read is a job, and told there
            if path in whole and whole[path].is_unchanged():
                found[path] = whole[path]
            elif (stat := Path(path).stat()).st_size in sizes and (twin := contents.get(file_digest(Path(path)))):
                found[path] = replace(twin, path=path, mtime_ns=stat.st_mtime_ns)
    return found


def _job(path: str, entry: Entry, records: Mapping[str, SourceFile]) -> SourceFile:
    """A file to look at; one that was there under this name, with other content, keeps its split."""
    return SourceFile(path, entry.file, split=records[path].split if path in records else "")


def _expect(folder: Path, jobs: Iterable[SourceFile], config: PrepareConfig) -> int:
    """How many frames are to come, by what the files say. Raises UserError where there is no room for them."""
    frames = need = 0
    for job in jobs:
        unreadable = suppress(UserError, OSError)
        with warnings.catch_warnings(), unreadable, readable(Path(job.path)):
            warnings.simplefilter("ignore", MediaWarning)  # told when it is looked at
            with open_reader(job.path) as reader:
                info = reader.info
            count = info.frame_count or round((info.duration or 0) * info.average_rate)
            width, height = shrunken_size(*info.display_size, config.short_side)
            frames, need = frames + count, need + count * width * height * 3
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UserError(
            f"{frames} frames need up to {need / GIB:.1f} GiB, {folder} has {free / GIB:.1f} GiB free: "
            "give a smaller --short-side, fewer files at a time, or another disk"
        )
    return frames


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(f"no space left in {folder}: make room and run again; what is done is kept") from error


def _is_below(path: str, footage: Iterable[Path]) -> bool:
    return any(Path(path).is_relative_to(place.resolve()) for place in footage)


def _with_source(file: SourceFile, entry: Entry) -> SourceFile:
    source = entry.source or file.digest or file.path
    return replace(file, file=entry.file, source=source, caption=entry.caption)


def _finish(
    folder: Path,
    files: Sequence[SourceFile],
    others: Mapping[str, SourceFile],
    entries: Mapping[str, Entry],
    config: PrepareConfig,
    new: int,
    gone: Sequence[str],
) -> Prepared:
    """Settle the splits, write records and manifest, then delete what nobody needs."""
    given = {path: entry.split for path, entry in entries.items() if entry.split}
    settled = settle_splits([*others.values(), *files], given, config.val_share)
    copies = _copies(settled)
    unique = [file for file in settled if file.path not in copies]
    if not any(file.scenes for file in unique):
        raise UserError(_nothing(unique, config))
    for file in settled:
        file.save(folder)
    write_manifest(folder, unique)
    save_sheet(folder / SHEET, contact_sheet(ClipCache.open(folder)))
    for path in gone:
        record_path(folder, path).unlink(missing_ok=True)
    _sweep(folder, settled)
    return Prepared(folder, tuple(unique), new, copies, tuple(gone))


def _copies(files: Iterable[SourceFile]) -> dict[str, str]:
    """Files whose content another one before them has."""
    first: dict[str, str] = {}
    paths = ((file.path, first.setdefault(file.digest, file.path)) for file in files if file.digest)
    return {path: original for path, original in paths if path != original}


def _nothing(files: Sequence[SourceFile], config: PrepareConfig) -> str:
    bad = [file for file in files if file.problems]
    said = f"; {len(bad)} of them cannot be read in whole, such as {bad[0].file}: {bad[0].problems[0]}" if bad else ""
    return (
        f"no scene of {config.min_frames} moving frames or more in {len(files)} file{'s' * (len(files) > 1)}{said} "
        "(give more footage, or a smaller --min-frames)"
    )


def _sweep(folder: Path, files: Iterable[SourceFile]) -> None:
    """Delete frames that no file needs, and what interrupted runs left."""
    used = {scene.array for file in files for scene in file.scenes}
    for path in (folder / FRAMES).iterdir():
        if f"{FRAMES}/{path.name}" not in used:
            path.unlink(missing_ok=True)
