"""Published models by name: vidcm/assets/published/NAME.json holds what the directory of one says of each part.

Imports nothing heavy.
"""

import json
from pathlib import Path
from typing import Any

from vidcm.core.errors import WrongUse
from vidcm.core.shipped import ASSETS

PUBLISHED = ASSETS / "published"


def published() -> list[str]:
    """Names of the models whose configs are shipped."""
    return sorted(file.stem for file in PUBLISHED.glob("*.json"))


def read_published(name: str) -> dict[str, Any]:
    """Part -> config; model_index is the index."""
    return dict(json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8")))


def check_known(model: str | Path) -> None:
    """Raises WrongUse for what is neither a published model nor a folder."""
    if str(model) not in published() and not Path(model).is_dir():
        raise WrongUse(f"{model} is neither a model directory nor one of: {', '.join(published())}")
