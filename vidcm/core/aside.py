"""Files replaced as a whole: under their name is the old content or the new one at any moment."""

import os
from pathlib import Path


def write_aside(path: Path, content: str | bytes, *, flush: bool = False) -> None:
    """flush: even after a power failure."""
    aside = path.with_suffix(".partial")
    with aside.open("wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    os.replace(aside, path)
