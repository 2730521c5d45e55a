"""Families of pretrained weights, one file each: how to load, encode, denoise and save them.

A family file defines FAMILY, the class that training and pipelines use; a new file is found by its name.
"""

import importlib
import pkgutil
from typing import Any

from vidcm.core.errors import WrongUse


def available() -> list[str]:
    """Names of the files here that define a family."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [name for name in names if hasattr(importlib.import_module(f"{__name__}.{name}"), "FAMILY")]


def get(name: str) -> Any:
    """The family class of that name. Raises UserError for an unknown one."""
    known = available()
    if name not in known:
        raise WrongUse(f"unknown family {name!r}, choose one of: {', '.join(known)}")
    return importlib.import_module(f"{__name__}.{name}").FAMILY


def reading(pipeline: str) -> str | None:
    """The name of the family that reads directories of that class of diffusers pipeline."""
    for name in available():
        if pipeline in getattr(get(name), "PIPELINES", ()):
            return name
    return None


def pipelines() -> list[str]:
    """The classes of diffusers pipelines that some family reads."""
    return [pipeline for name in available() for pipeline in getattr(get(name), "PIPELINES", ())]
