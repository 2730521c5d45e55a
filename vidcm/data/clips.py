"""A folder of videos, decoded once into memory-mapped arrays, so that training reads frames and never decodes.

    cache/index.json      what is cached: for each video its hash, size, time stamp, split, shape, instants, array
    cache/<digest>.npy    uint8 RGB [T, H, W, 3], named by the hash of the video's content

Arrays are written aside and renamed, and the index is saved after each clip: the cache is whole at any moment and an
interrupted run continues. Memory does not grow with the number of clips or their length. One process makes a cache;
any number may read it, also while it is being refreshed.
"""

import hashlib
import json
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from vidcm.core.errors import UserError
from vidcm.data.splits import Entry, assign_split, list_videos
from vidcm.media.reader import open_reader

VERSION = 2  # of the index and of what the arrays hold
HEADER_BYTES = 128  # of an .npy file; numpy pads it so that the number of frames can be written last


@dataclass(frozen=True)
class Clip:
    """One cached video. instants: seconds from its first frame, exact; probe: checksum of a few of its frames."""

    file: str
    source: str
    split: str
    digest: str
    bytes: int
    mtime_ns: int
    array: str
    shape: tuple[int, int, int, int]
    probe: int
    instants: tuple[Fraction, ...] = field(repr=False)

    @property
    def length(self) -> int:
        return self.shape[0]


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
        path = folder / "index.json"
        if not path.is_file():
            raise UserError(
                f"no clip cache in {folder}: index.json is missing (set data.footage to a folder of videos to make it)"
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
    def frame_count(self) -> int:
        return sum(clip.length for clip in self.clips)

    def save(self) -> None:
        index = {"version": VERSION, "short_side": self.short_side, "skipped": self.skipped}
        index["clips"] = [_clip_to_json(clip) for clip in self.clips]
        _write_aside(self.folder / "index.json", json.dumps(index, indent=0).encode())


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
    digest = old.digest if old is not None and same_file else _digest(path)
    if old is None or old.digest != digest:
        old = next((clip for clip in known.values() if clip.digest == digest), None)
    if old is None or not is_whole(folder, old):
        array = f"{digest}.npy" if short_side is None else f"{digest}-{short_side}.npy"
        shape, instants = _decode(path, folder / array, short_side)
        old = Clip(entry.file, "", "", digest, 0, 0, array, shape, _probe(folder / array, shape), instants)
    split = entry.split or assign_split(_text_digest(entry.source) if entry.source else digest, val_share)
    facts = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return replace(old, file=entry.file, source=entry.source or digest, split=split, **facts)


def is_whole(folder: Path, clip: Clip) -> bool:
    """Whether the clip's array is there, of the right size and with the pixels it had (a few frames are looked at)."""
    path = folder / clip.array
    whole = path.is_file() and path.stat().st_size == HEADER_BYTES + int(np.prod(clip.shape))
    return whole and _probe(path, clip.shape) == clip.probe


def _probe(path: Path, shape: tuple[int, int, int, int]) -> int:
    frame_bytes = int(np.prod(shape[1:]))
    with path.open("rb") as file:
        value = zlib.crc32(file.read(HEADER_BYTES))
        for index in sorted({0, shape[0] // 3, 2 * shape[0] // 3, shape[0] - 1}):
            file.seek(HEADER_BYTES + index * frame_bytes)
            value = zlib.crc32(file.read(frame_bytes), value)
    return value


def _decode(path: Path, array: Path, short_side: int | None) -> tuple[tuple[int, int, int, int], tuple[Fraction, ...]]:
    """Decode a video into an .npy file, frame by frame. Returns its shape and the instants from the first frame on."""
    aside = array.with_name(f"{array.name}.{os.getpid()}-{threading.get_ident()}.partial")
    instants: list[Fraction] = []
    size: tuple[int, int, int] | None = None
    try:
        with aside.open("wb") as file:
            file.write(bytes(HEADER_BYTES))
            for instant, picture in read_frames(path):
                frame = shrink(picture, short_side)
                size = size or frame.shape
                if frame.shape != size:
                    raise ValueError(f"frame size changes within the video, from {size[:2]} to {frame.shape[:2]}")
                file.write(np.ascontiguousarray(frame))
                instants.append(instant)
            if size is None:
                raise ValueError("no frames")
            shape = (len(instants), *size)
            _write_header(file, shape)
        os.replace(aside, array)
    finally:
        aside.unlink(missing_ok=True)
    return shape, tuple(instant - instants[0] for instant in instants)


def _write_header(file, shape: tuple[int, ...]) -> None:
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    if file.tell() != HEADER_BYTES:
        raise ValueError(f"array header of {file.tell()} bytes, expected {HEADER_BYTES}")


def read_frames(path: Path) -> Iterator[tuple[Fraction, np.ndarray]]:
    """The frames of a video as they are shown: (instant in seconds, uint8 RGB [H, W, 3], upright)."""
    with open_reader(path) as reader:
        for frame in reader:
            yield frame.instant, frame.rgb


def shrink(frame: np.ndarray, short_side: int | None) -> np.ndarray:
    """Shrink a frame [H, W, 3] by area averaging so that its short side has short_side pixels; never enlarges."""
    height, width = frame.shape[:2]
    if short_side is None or min(height, width) <= short_side:
        return frame
    scale = short_side / min(height, width)
    return cv2.resize(frame, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _text_digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _clip_to_json(clip: Clip) -> dict:
    return {**asdict(clip), "instants": " ".join(map(str, clip.instants))}


def _clip_from_json(item: dict) -> Clip:
    instants = tuple(Fraction(text) for text in item["instants"].split())
    return Clip(**{**item, "shape": tuple(item["shape"]), "instants": instants})


def _write_aside(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".partial")
    aside.write_bytes(content)
    os.replace(aside, path)
