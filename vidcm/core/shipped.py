"""Where the models in the package lie."""

from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"


def shipped(name: str) -> Path:
    """The model directory of this name; a folder in `ASSETS`."""
    return ASSETS / name
