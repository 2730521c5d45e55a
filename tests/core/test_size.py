"""Sizes as users write them."""

import pytest

from vidcm.core.errors import WrongUse
from vidcm.core.size import pixels_of


def test_width_comes_first_as_written_and_height_as_in_tensors() -> None:
    assert pixels_of("832x480") == (480, 832)
    assert pixels_of(None) is None


@pytest.mark.parametrize("size", ["", "64", "64x", "x64", "0x64", "64x-3", "64X64", "64x64x64", "100000x64", "6.4x64"])
def test_anything_else_is_refused(size: str) -> None:
    with pytest.raises(WrongUse, match="size must be WxH in pixels such as 832x480, got '"):
        pixels_of(size)
