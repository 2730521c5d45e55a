"""The process that `vidcm`, or `python -m vidcm`, is: it runs the command line and ends with it."""

import sys

from vidcm.cli.leaving import leaving_at_once
from vidcm.core.alone import declare_alone
from vidcm.core.interrupts import interruptible


def process() -> None:
    """Raises SystemExit with the exit code of `vidcm.cli.main`."""
    with leaving_at_once():
        try:
            interruptible()
            declare_alone()
            from vidcm.cli.main import main  # takes a while, in which it may be interrupted

            main()
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            sys.exit(130)


if __name__ == "__main__":
    process()
