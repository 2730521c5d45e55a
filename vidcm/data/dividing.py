"""The splits of a prepared dataset: by source, once and for all, and neither side empty where that can be had."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vidcm.core.errors import UserError
from vidcm.data.arrays import text_digest
from vidcm.data.sources import SourceFile
from vidcm.data.splits import assign_split


def settle_splits(files: Sequence[SourceFile], given: Mapping[str, str], val_share: float) -> list[SourceFile]:
    """The files with their splits. given: path -> split that a manifest.csv names.

    A manifest decides. Else a source stays where an earlier run put it, so that nothing moves after it has been trained
    on. Else the hash of the source decides (docs/decisions/0006-split-by-source.md), and where that leaves one side
    empty, the new source whose share of the frames is nearest to what is wanted there changes sides.
    """
    fixed = {file.source: file.split for file in files if file.split} | _given(files, given)
    hashed = {file.source: assign_split(_hash(file), val_share) for file in files}
    splits = hashed | fixed
    frames = Counter({file.source: 0 for file in files})
    for file in files:
        frames[file.source] += file.frames
    splits |= _fill_empty_side(splits, frames, hashed.keys() - fixed.keys(), val_share)
    return [replace(file, split=splits[file.source]) for file in files]


def _given(files: Sequence[SourceFile], given: Mapping[str, str]) -> dict[str, str]:
    first: dict[str, SourceFile] = {}
    for file in (file for file in files if file.path in given):
        other = first.setdefault(file.source, file)
        if given[other.path] != given[file.path]:
            raise UserError(
                f"{other.path} is given to {given[other.path]} and {file.path} to {given[file.path]}, but both come "
                f"from {file.source}: put them in one split"
            )
    return {source: given[file.path] for source, file in first.items()}


def _hash(file: SourceFile) -> str:
    return file.digest if file.source == file.digest else text_digest(file.source)


def _fill_empty_side(
    splits: Mapping[str, str], frames: Counter[str], movable: Collection[str], val_share: float
) -> dict[str, str]:
    """The source to move, if one should, and where to."""
    full = {splits[source] for source in frames if frames[source]}
    candidates = [source for source in movable if frames[source]]
    sources = sum(1 for source in frames if frames[source])
    empty, share = ("train", 1 - val_share) if full == {"val"} else ("val", val_share)
    if len(full) != 1 or not candidates or not share or (sources == 1 and empty == "val"):
        return {}
    wanted = share * frames.total()
    return {min(candidates, key=lambda source: (abs(frames[source] - wanted), source)): empty}
