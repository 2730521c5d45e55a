"""Timecodes: hours:minutes:seconds:frames, in whole frames of a nominal rate."""

import re
from dataclasses import dataclass
from fractions import Fraction

TIMECODE = r"(\d\d):(\d\d):(\d\d)([:;.,])(\d{2,3})"
DROP_FRAME = Fraction(30000, 1001)  # drop-frame timecodes fit whole multiples of it alone


@dataclass(frozen=True)
class Timecode:
    """is_drop: it leaves numbers out, so that it keeps with the clock at 29.97 frames a second."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    is_drop: bool = False

    @classmethod
    def parse(cls, text: str) -> "Timecode | None":
        """`01:00:00:00`, or drop-frame `01:00:00;00`; None for anything else."""
        found = re.fullmatch(TIMECODE, text.strip())
        return None if found is None else cls.of_parts(*found.groups())

    @classmethod
    def of_parts(cls, hours: str, minutes: str, seconds: str, mark: str, frames: str) -> "Timecode":
        """From the groups of TIMECODE."""
        return cls(int(hours), int(minutes), int(seconds), int(frames), is_drop=mark in ";,")

    @classmethod
    def at(cls, frame: int, rate: Fraction) -> "Timecode":
        """The non-drop one of a frame, counted from 00:00:00:00 on; a day begins anew."""
        nominal = max(1, round(rate))
        seconds, left = divmod(frame, nominal)
        return cls(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, left)

    def count(self, rate: Fraction) -> int:
        """Frames from 00:00:00:00 on. Drop-frame leaves out two numbers (at 60 fps four) in nine of ten minutes."""
        nominal = max(1, round(rate))
        minutes = 60 * self.hours + self.minutes
        left_out = nominal // 15 * (minutes - minutes // 10) if self.is_drop else 0
        return (60 * minutes + self.seconds) * nominal + self.frames - left_out

    def __str__(self) -> str:
        return f"{self.hours:02}:{self.minutes:02}:{self.seconds:02}{';' if self.is_drop else ':'}{self.frames:02}"
