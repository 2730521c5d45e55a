"""Whether a run goes on where it stopped, or begins: as asked, and never the other of the two in silence."""

from pathlib import Path
from typing import Literal

from vidcm.core.errors import WrongUse

Resume = bool | Literal["auto"]  # go on; begin; go on where there is a run, else begin


def goes_on(resume: Resume, begun: bool, folder: Path) -> bool:
    """begun: whether `folder` holds a run. Raises WrongUse where going on was asked for and there is nothing to."""
    if resume is True and not begun:
        raise WrongUse(f"nothing to resume in {folder}: leave --resume out to begin, or let --auto-resume decide")
    return begun if resume == "auto" else resume
