"""Memory as users write it, 800MiB, 2GiB, 1.5GB, and what this process has held of it."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from vidcm.core.errors import WrongUse

MIB = 2**20
UNITS = {"mb": 10**6, "gb": 10**9, "mib": MIB, "gib": 2**30}
STATUS = Path("/proc/self/status")
MEMORY = re.compile(r"(\d{1,7}(?:\.\d{1,3})?) ?([mg]i?b)", re.IGNORECASE)


@dataclass(frozen=True)
class Memory:
    """size: bytes; text: as the user wrote it."""

    size: int
    text: str


def parse_memory(text: str) -> Memory:
    """Raises WrongUse for what is no size, or none at all."""
    found = MEMORY.fullmatch(text.strip())
    size = int(float(found[1]) * UNITS[found[2].lower()]) if found else 0
    if not size:
        raise WrongUse(f"--memory must be a size such as 2GiB or 800MiB, got {text[:60]!r}")
    return Memory(size, text.strip())


def as_text(size: int) -> str:
    """Bytes in whole MiB, rounded up: what `parse_memory` reads as enough."""
    return f"{-(-size // MIB)}MiB"


def peak_resident() -> int | None:
    """Bytes of main memory that this process has held at most, None where nothing tells."""
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 2**10
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 2**10
