"""A clip: frames of one scene or video in an array, and all that is known of them."""

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Clip:
    """Cached frames. instants: seconds from the first of them, exact; probe: checksum of a few of them; caption: what
    they show.

    digest: names the frames; of a whole video the hash of its file's content. bytes, mtime_ns: of the file.
    """

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
    caption: str = ""

    @property
    def length(self) -> int:
        return self.shape[0]
