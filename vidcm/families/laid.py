"""An adapter as it lies in a directory. Imports nothing heavy."""

import json
from dataclasses import dataclass
from pathlib import Path

from vidcm.core.errors import UserError

FILE = "adapter.json"


@dataclass(frozen=True)
class Laid:
    """An adapter as it lies in a directory, and the directory of the network that it is laid on."""

    folder: Path
    base: Path
    rank: int


def read_adapter(folder: str | Path) -> Laid | None:
    """What adapter.json says; None where a directory has none. A relative base lies beside the adapter's files."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = Laid(Path(folder), Path(folder) / told["base"], int(told["rank"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not name a base and a rank, take another copy: {error!r}") from error
    if not found.base.is_dir():
        raise UserError(f"{path}: the base model {found.base} is not there: write where it lies now as base")
    if (found.base / FILE).exists():
        raise UserError(f"{path}: the base {found.base} is an adapter itself: merge it first")
    return found
