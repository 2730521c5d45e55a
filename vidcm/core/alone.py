"""Whether this process runs our command line and no code of others, who would meet our classes in their own ways."""

_is_alone = False


def declare_alone() -> None:
    """By the process that the command line is, before it imports more."""
    global _is_alone
    _is_alone = True


def is_alone() -> bool:
    return _is_alone
