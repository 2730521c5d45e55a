"""The size of a frame as users write it: WxH in pixels."""

import re

from vidcm.core.errors import WrongUse

SIZE = re.compile(r"[1-9]\d{0,4}x[1-9]\d{0,4}")


def pixels_of(size: str | None) -> tuple[int, int] | None:
    """Height and width of "832x480"; None of None. Raises WrongUse for anything else."""
    if size is None:
        return None
    if not SIZE.fullmatch(size):
        raise WrongUse(f"size must be WxH in pixels such as 832x480, got {size!r}")
    width, height = map(int, size.split("x"))
    return height, width
