"""`--repair`: what of a damaged or converted file is mended while frames are added to it."""

from vidcm.core.errors import UserError

REPAIRS = DUPLICATES, DROPPED, DAMAGED = "duplicates", "dropped", "damaged"
ALL = "all"
NOTHING: frozenset[str] = frozenset()


def parse_repair(text: str) -> frozenset[str]:
    """One of them, several with commas between, or `all`. Raises UserError for what cannot be repaired."""
    wanted = {word.strip() for word in text.split(",")}
    unknown = sorted(wanted - {*REPAIRS, ALL})
    if unknown:
        raise UserError(
            f"--repair must be {', '.join(REPAIRS)}, several of them with commas, or {ALL}, got {unknown[0]!r}"
        )
    return frozenset(REPAIRS if ALL in wanted else wanted)
