"""How large the encoded pictures are so far, and what that says of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

KEY_EVERY = 250  # pictures between two that stand alone, where an encoder is free to choose: x264's and x265's habit


class Packet(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def is_keyframe(self) -> bool: ...


@dataclass
class Sizes:
    """keys: packets that stand alone, which are several times as large as others."""

    packets: int = 0
    bytes: int = 0
    keys: int = 0
    key_bytes: int = 0

    def add(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            self.packets += 1
            self.bytes += packet.size
            self.keys += packet.is_keyframe
            self.key_bytes += packet.size if packet.is_keyframe else 0

    def expected(self, pictures: int) -> int:
        """Bytes of so many pictures like those so far, of which there is one at least.

        Where the first one alone stands alone, a mean over the first few would promise too much.
        """
        others = self.packets - self.keys
        if not others or self.keys != 1:
            return round(pictures * self.bytes / self.packets)
        keys = max(1, pictures / KEY_EVERY)
        return round(keys * self.key_bytes + (pictures - keys) * (self.bytes - self.key_bytes) / others)
