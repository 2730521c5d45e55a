"""`--repair`: what of a damaged or converted file is mended while frames are added to it."""

from vidcm.core.errors import UserError

REPAIRS = (DUPLICATES,) = ("duplicates",)
NOTHING: frozenset[str] = frozenset()


def parse_repair(text: str) -> frozenset[str]:
    """`duplicates`, or several with commas between. Raises UserError for what cannot be repaired."""
    wanted = {word.strip() for word in text.split(",")}
    unknown = sorted(wanted - set(REPAIRS))
    if unknown:
        raise UserError(f"--repair must be {' or '.join(REPAIRS)}, got {unknown[0]!r}")
    return frozenset(wanted)
