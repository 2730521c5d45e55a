"""A folder or file as pieces that pass where large files do not, and back again; needs Python alone.

    python scripts/pieces.py split runs/motion-ect/model -o model-pieces     # at most 16 MiB each
    python scripts/pieces.py join model-pieces -o model

model-pieces/pieces.json has the size and SHA-256 of each piece and of the whole. The same content gives the same
pieces. `join` checks every piece, and OUT appears when it is whole.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

INDEX = "pieces.json"
MIB = 2**20
CHUNK = MIB


class Wrong(Exception):
    """One line that says what is wrong and what to do."""


class PieceWriter:
    """A file that is written from its start to its end, in pieces NAME.000, NAME.001, ... of `size` bytes."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self.pieces: list[dict[str, Any]] = []
        self.whole = hashlib.sha256()
        self._folder, self._name, self._size = folder, name, size
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self.whole.update(data)
        self._held += data
        while len(self._held) >= self._size:
            self._put(self._size)
        return len(data)

    def close(self) -> None:
        if self._held or not self.pieces:
            self._put(len(self._held))

    def _put(self, count: int) -> None:
        file, data = f"{self._name}.{len(self.pieces):03d}", bytes(self._held[:count])
        (self._folder / file).write_bytes(data)
        self.pieces.append({"file": file, "bytes": count, "sha256": hashlib.sha256(data).hexdigest()})
        del self._held[:count]


def split(path: Path, out: Path, size: int) -> int:
    """Pieces of at most `size` bytes in the folder `out`, which replaces what an earlier split left there. Returns how
    many there are."""
    check_replaceable(out)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}-") as aside:
        made = Path(aside) / out.name
        made.mkdir()
        writer = PieceWriter(made, path.resolve().name, size)
        if path.is_dir():
            with tarfile.open(fileobj=writer, mode="w|") as archive:  # type: ignore[call-overload]  # it only writes
                for file in sorted(path.rglob("*")):
                    archive.add(file, str(file.relative_to(path)), recursive=False, filter=anonymous)
        else:
            with path.open("rb") as source:
                shutil.copyfileobj(source, writer, CHUNK)
        writer.close()
        kind = "folder" if path.is_dir() else "file"
        index = {"kind": kind, "sha256": writer.whole.hexdigest(), "pieces": writer.pieces}
        (made / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        if out.is_dir():
            shutil.rmtree(out)
        made.rename(out)
    return len(writer.pieces)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs from machine to machine."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def check_replaceable(out: Path) -> None:
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / INDEX).is_file())):
        raise Wrong(f"{out} exists and holds no pieces: choose another folder")


def join(folder: Path, out: Path) -> None:
    """What was split, checked, at `out`, which must not be there yet."""
    if out.exists():
        raise Wrong(f"{out} exists: choose another name")
    index = read_index(folder)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}-") as aside:
        whole, made = Path(aside) / "whole", Path(aside) / "made"
        with whole.open("wb") as file:
            write_whole(folder, index, file)
        if index["kind"] == "folder":
            with tarfile.open(whole) as archive:
                archive.extractall(made, filter="data")
        else:
            whole.rename(made)
        made.rename(out)


def read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise Wrong(f"{folder} holds no {INDEX}: it is not a folder of pieces, or splitting was interrupted")
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = index["kind"], index["sha256"], [(piece["file"], piece["sha256"]) for piece in index["pieces"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Wrong(f"{path} is damaged ({error!r}): fetch it again") from None
    return index


def write_whole(folder: Path, index: dict[str, Any], file: BinaryIO) -> None:
    digest = hashlib.sha256()
    for data in checked(folder, index["pieces"]):
        digest.update(data)
        file.write(data)
    if digest.hexdigest() != index["sha256"]:
        raise Wrong(f"the pieces in {folder} are not in the order of one whole: fetch {INDEX} again")


def checked(folder: Path, pieces: list[dict[str, Any]]) -> Iterator[bytes]:
    missing = [piece["file"] for piece in pieces if not (folder / piece["file"]).is_file()]
    if missing:
        raise Wrong(f"{len(missing)} of {len(pieces)} pieces are not in {folder}: {', '.join(missing)}")
    for piece in pieces:
        data = (folder / piece["file"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != piece["sha256"]:
            raise Wrong(f"{folder / piece['file']} is not what was split ({len(data)} bytes): fetch it again")
        yield data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (("split", "a folder or file"), ("join", "a folder of pieces")):
        command = commands.add_parser(name)
        command.add_argument("path", type=Path, help=told)
        command.add_argument("-o", "--out", type=Path, required=True)
        if name == "split":
            command.add_argument("--mib", type=float, default=16, help="of the largest piece, at most 1024 [16]")
    options = parser.parse_args()
    if not options.path.exists():
        parser.error(f"{options.path} does not exist")
    if options.command == "split" and not 0 < options.mib <= 1024:
        parser.error(f"--mib must be above 0 and at most 1024, got {options.mib:g}")
    try:
        if options.command == "split":
            count = split(options.path, options.out, max(1, int(options.mib * MIB)))
            print(f"{count} piece{'s' * (count > 1)} in {options.out}")
        else:
            join(options.path, options.out)
            print(options.out)
    except (Wrong, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
