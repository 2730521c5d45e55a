"""Permissions of files that a library wrote for nobody else to read, as safetensors does."""

import os
import stat
from pathlib import Path


def open_as_new(folder: Path) -> None:
    """Give the weights below a folder the permissions that a new file gets there, by umask."""
    probe = folder / f".permissions-{os.getpid()}"
    probe.touch()
    usual = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    for file in folder.rglob("*.safetensors"):
        if not file.is_symlink():
            file.chmod(usual)
