"""What can be told about the paths before anything heavy is imported or opened."""

import os
from pathlib import Path

from vidcm.core.errors import UserError


def check_paths(source: Path, target: Path) -> None:
    """Raises UserError unless source is a file with something in it and target is another one that can be written."""
    check_source(source)
    check_target(target)
    if target.exists() and os.path.samefile(source, target):
        raise UserError(f"{target} is the input itself: choose another name for the output")


def check_source(source: Path) -> None:
    if source.is_dir():
        raise UserError(f"{source} is a folder, not a video: name a file in it")
    if not source.exists():
        raise UserError(f"{source} does not exist: check the path")
    if not os.access(source, os.R_OK):
        raise UserError(f"{source} cannot be read: check its permissions")
    if source.is_file() and source.stat().st_size == 0:
        raise UserError(f"{source} is empty: check that it was copied whole")


def check_target(target: Path) -> None:
    folder = target.absolute().parent
    if target.is_dir():
        raise UserError(f"{target} is a folder: name a file in it, such as {target / 'out.mp4'}")
    if not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist: create it first, or write elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the folder {folder} cannot be written to: check its permissions, or write elsewhere")
