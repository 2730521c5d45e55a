"""A folder of videos, decoded once into memory-mapped arrays, so that training reads frames and never decodes.

    cache/index.json      what is cached: for each video its hash, size, time stamp, split, shape, instants, array
    cache/<digest>.npy    uint8 RGB [T, H, W, 3], named by the hash of the video's content

Arrays are written aside and renamed, and the index is saved after each clip: the cache is whole at any moment and an
interrupted run continues. Memory does not grow with the number of clips or their length. One process makes a cache;
any number may read it, also while it is being refreshed.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.data import manifest
from vidcm.data.arrays import ArrayWriter, Shape, file_digest, is_whole, probe, shrink, text_digest
from vidcm.data.clip import Clip
from vidcm.data.splits import Entry, assign_split, list_videos
from vidcm.media.reader import open_reader

VERSION = 2  # of the index and of what the arrays hold


@dataclass(frozen=True)
class ClipCache:
    """The cached clips of a folder of videos; open it with `ClipCache.open`, make or refresh it with `build_cache`."""

    folder: Path
    clips: tuple[Clip, ...]
    skipped: dict[str, str] = field(default_factory=dict)  # file -> why it could not be read
    short_side: int | None = None

    @classmethod
    def open(cls, folder: Path | str) -> "ClipCache":
        folder = Path(folder)
        if manifest.is_in(folder):
            return cls(folder, manifest.clips_of(folder))
        path = folder / "index.json"
        if not path.is_file():
            raise UserError(
                f"no clip cache in {folder}: index.json is missing (set data.footage to a folder of videos to make it, "
                "or data.cache to a dataset of `vidcm prepare`)"
            )
        try:
            index = json.loads(path.read_text("utf-8"))
            clips = tuple(_clip_from_json(item) for item in index["clips"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}): delete it and make the cache again") from error
        if index["version"] != VERSION:
            raise UserError(f"{path} has version {index['version']}, expected {VERSION}: make the cache again")
        return cls(folder, clips, index["skipped"], index["short_side"])

    def split(self, name: str) -> tuple[Clip, ...]:
        """The clips of one split, `train` or `val`."""
        return tuple(clip for clip in self.clips if clip.split == name)

    def frames(self, clip: Clip) -> np.ndarray:
        """uint8 RGB [T, H, W, 3], mapped from disk and read-only."""
        return np.load(self.folder / clip.array, mmap_mode="r")

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """What clips of any split show, each text once, in order: batches name a caption by its place here."""
        return tuple(sorted({clip.caption for clip in self.clips}))

    @cached_property
    def frame_count(self) -> int:
        return sum(clip.length for clip in self.clips)

    def save(self) -> None:
        index = {"version": VERSION, "short_side": self.short_side, "skipped": self.skipped}
        index["clips"] = [_clip_to_json(clip) for clip in self.clips]
        write_aside(self.folder / "index.json", json.dumps(index, indent=0))


def silent(done: int, total: int, file: str) -> None:
    """Show no progress."""


def build_cache(
    footage: Path | str,
    folder: Path | str,
    *,
    short_side: int | None = None,
    val_share: float = 0.1,
    workers: int = 1,
    progress: Callable[[int, int, str], None] = silent,
) -> ClipCache:
    """Decode what is new or changed in `footage` into the cache `folder`; clips gone from the footage leave the index.

    short_side: shrink larger videos to this many pixels; native size by default. A video that cannot be read is named
    in `skipped` with the reason. workers: threads that decode. progress(done, total, file) is called after each video.
    """
    footage, folder = Path(footage), Path(folder)
    if manifest.is_in(folder):
        raise UserError(f"{folder} was written by `vidcm prepare`: leave data.footage out, or name another data.cache")
    entries = list_videos(footage)
    folder.mkdir(parents=True, exist_ok=True)
    known = _known_clips(folder, short_side)
    clips: dict[str, Clip] = {}
    skipped: dict[str, str] = {}

    def refresh(entry: Entry) -> Clip | str:
        try:
            return _refresh(footage, folder, entry, known, short_side, val_share)
        except (OSError, ValueError, UserError) as error:
            return " ".join(str(error).split())

    with ThreadPoolExecutor(workers) as pool:
        for done, (entry, result) in enumerate(zip(entries, pool.map(refresh, entries), strict=True), start=1):
            if isinstance(result, str):
                skipped[entry.file] = result
            else:
                clips[entry.file] = result
                if known.get(entry.file) != result:
                    ClipCache(folder, tuple((known | clips).values()), skipped, short_side).save()
            progress(done, len(entries), entry.file)
    cache = ClipCache(folder, tuple(clips.values()), skipped, short_side)
    cache.save()
    _sweep(cache)
    return cache


def _sweep(cache: ClipCache) -> None:
    """Delete arrays that no clip uses any more, and what interrupted runs left; nothing that is not named like ours."""
    used = {clip.array for clip in cache.clips}
    for path in cache.folder.iterdir():
        if re.fullmatch(r"[0-9a-f]{32}(-\d+)?\.npy(\..*\.partial)?", path.name) and path.name not in used:
            path.unlink(missing_ok=True)


def _known_clips(folder: Path, short_side: int | None) -> dict[str, Clip]:
    """What an earlier run left, by file name; nothing when it was made at another size or by another version."""
    try:
        cache = ClipCache.open(folder)
    except UserError:
        return {}
    return {clip.file: clip for clip in cache.clips} if cache.short_side == short_side else {}


def _refresh(
    footage: Path, folder: Path, entry: Entry, known: dict[str, Clip], short_side: int | None, val_share: float
) -> Clip:
    """The clip of one video: as it was, or decoded when the video is new or changed, or its array lost or damaged."""
    path = footage / entry.file
    stat = path.stat()
    old = known.get(entry.file)
    same_file = old is not None and (old.bytes, old.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    digest = old.digest if old is not None and same_file else file_digest(path)
    if old is None or old.digest != digest:
        old = next((clip for clip in known.values() if clip.digest == digest), None)
    if old is None or not is_whole(folder / old.array, old.shape, old.probe):
        array = f"{digest}.npy" if short_side is None else f"{digest}-{short_side}.npy"
        shape, instants = _decode(path, folder / array, short_side)
        old = Clip(entry.file, "", "", digest, 0, 0, array, shape, probe(folder / array, shape), instants)
    split = entry.split or assign_split(text_digest(entry.source) if entry.source else digest, val_share)
    facts = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    told = {"source": entry.source or digest, "split": split, "caption": entry.caption}
    return replace(old, file=entry.file, **told, **facts)


def _decode(path: Path, array: Path, short_side: int | None) -> tuple[Shape, tuple[Fraction, ...]]:
    """Decode a video into an .npy file, frame by frame. Returns its shape and the instants from the first frame on."""
    instants: list[Fraction] = []
    writer = ArrayWriter(array.with_name(f"{array.name}.{os.getpid()}-{threading.get_ident()}.partial"))
    try:
        for instant, picture in read_frames(path):
            writer.add(shrink(picture, short_side))
            instants.append(instant)
        if not instants:
            raise ValueError("no frames")
        shape = writer.finish(array)
    finally:
        writer.discard()
    return shape, tuple(instant - instants[0] for instant in instants)


def read_frames(path: Path) -> Iterator[tuple[Fraction, np.ndarray]]:
    """The frames of a video as they are shown: (instant in seconds, uint8 RGB [H, W, 3], upright)."""
    with open_reader(path) as reader:
        for frame in reader:
            yield frame.instant, frame.rgb


def _clip_to_json(clip: Clip) -> dict:
    return {**asdict(clip), "instants": " ".join(map(str, clip.instants))}


def _clip_from_json(item: dict) -> Clip:
    instants = tuple(Fraction(text) for text in item["instants"].split())
    return Clip(**{**item, "shape": tuple(item["shape"]), "instants": instants})
