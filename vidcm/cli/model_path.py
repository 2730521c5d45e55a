"""What --model takes: a folder, or the name of a model in the package."""

from pathlib import Path
from typing import Any

import click

from vidcm.core.shipped import ASSETS, shipped


class ModelPath(click.Path):
    """A folder of the user's goes before a shipped model of that name."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = str(value)
        if name == Path(name).name and not Path(name).exists() and (ASSETS / name / "model_index.json").is_file():
            return shipped(name)
        return super().convert(value, param, ctx)
