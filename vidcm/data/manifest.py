"""The manifest of a prepared dataset: one line of JSON per scene, all that training and tuning need to know.

`docs/prepare.md` describes its fields for those who read it with other tools.
"""

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.data.arrays import text_digest
from vidcm.data.clip import Clip
from vidcm.data.scenes import Scene
from vidcm.data.sources import SourceFile

NAME = "manifest.jsonl"


def is_in(folder: Path) -> bool:
    """Whether `vidcm prepare` has written the folder."""
    return (folder / NAME).is_file()


def write_manifest(folder: Path, files: Iterable[SourceFile]) -> None:
    lines = [json.dumps(_line(file, scene), ensure_ascii=False) for file in files for scene in file.scenes]
    write_aside(folder / NAME, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def clips_of(folder: Path) -> tuple[Clip, ...]:
    """Its scenes as clips, in order."""
    path, clips = folder / NAME, []
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").splitlines(), start=1):
        try:
            clips.append(_clip(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}, line {number} is damaged ({error!r}): run `vidcm prepare` on it again") from error
    return tuple(clips)


def _line(file: SourceFile, scene: Scene) -> dict:
    return {
        "file": file.file,
        "path": file.path,
        "scene": scene.first,
        "frames": scene.frames,
        "hold": scene.hold,
        "instants": [str(instant) for instant in scene.instants],
        "rate": None if file.rate is None else str(file.rate),
        "source_size": list(file.size),
        "size": [scene.shape[2], scene.shape[1]],
        "split": file.split,
        "source": file.source,
        "caption": file.caption,
        "source_hash": file.digest,
        "source_bytes": file.bytes,
        "source_mtime_ns": file.mtime_ns,
        "array": scene.array,
        "probe": scene.probe,
    }


def _clip(line: dict) -> Clip:
    instants = [Fraction(text) for text in line["instants"]]
    width, height = line["size"]
    place = f"{line['source_hash']} {line['scene']} {line['frames']} {line['hold']} {width}x{height}"
    return Clip(
        file=f"{line['file']}#{line['scene']}",
        source=line["source"],
        split=line["split"],
        digest=text_digest(place),
        bytes=line["source_bytes"],
        mtime_ns=line["source_mtime_ns"],
        array=line["array"],
        shape=(line["frames"], height, width, 3),
        probe=line["probe"],
        instants=tuple(instant - instants[0] for instant in instants),
        caption=line.get("caption", ""),
    )
