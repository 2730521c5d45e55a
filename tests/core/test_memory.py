"""Sizes of memory as users write them."""

import pytest

from vidcm.core.errors import WrongUse
from vidcm.core.memory import as_text, parse_memory, peak_resident


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * 2**30),
        ("800MiB", 800 * 2**20),
        ("1.5gib", 3 * 2**29),
        ("2 GB", 2 * 10**9),
        (" 900mb ", 900 * 10**6),
    ],
)
def test_a_size_is_read(text, size):
    found = parse_memory(text)
    assert (found.size, found.text) == (size, text.strip())


@pytest.mark.parametrize(
    "text", ["2", "", "two GiB", "0GiB", "-1GiB", "2GiB3", "1e3MiB", "2KiB", "nanGiB", "99999999GiB"]
)
def test_what_is_no_size_is_wrong_use(text):
    with pytest.raises(WrongUse, match="--memory must be a size such as 2GiB"):
        parse_memory(text)


@pytest.mark.parametrize("size", [1, 2**20, 2**20 + 1, 1234567890])
def test_what_is_told_is_enough_when_it_is_read(size):
    assert 0 <= parse_memory(as_text(size)).size - size < 2**20


def test_what_was_held_at_most_stays_told_when_it_is_let_go():
    held = bytearray(b"x" * 2**28)
    during = peak_resident()
    assert during >= len(held)
    del held
    assert peak_resident() >= during
