"""`vidcm models`: what is shipped with the package, and which families can be built or loaded. Imports no torch."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import click

import vidcm
from vidcm.core.shipped import ASSETS


def shipped_models() -> Iterator[tuple[str, Path]]:
    """(name, directory) of each model directory in the package: a folder with a model_index.json."""
    for index in sorted(ASSETS.glob("**/model_index.json")):
        yield index.parent.relative_to(ASSETS).as_posix(), index.parent


def known_families() -> Iterator[tuple[str, str]]:
    """(name, first docstring line) of each file in vidcm/families that defines FAMILY, read without importing it."""
    for file in sorted((Path(vidcm.__file__).parent / "families").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "FAMILY" for line in tree.body):
            yield file.stem, (ast.get_docstring(tree) or "").partition("\n")[0]


def describe(directory: Path) -> str:
    """One line: the pipeline class it is loaded with and the size of its weights."""
    pipeline = json.loads((directory / "model_index.json").read_text(encoding="utf-8")).get("_class_name", "unknown")
    if isinstance(pipeline, list):  # diffusers' way to name a class of another library: its module, its name
        pipeline = pipeline[-1]
    size_mib = sum(file.stat().st_size for file in directory.glob("**/*.safetensors")) / 2**20
    return f"{pipeline}, {size_mib:.1f} MiB of weights"


@click.command()
def command() -> None:
    """List the shipped models and the known families."""
    click.echo("Shipped models (used by default; --model takes another directory):")
    for name, directory in shipped_models():
        click.echo(f"  {name:<12} {describe(directory)}\n  {'':<12} {directory}")
    click.echo("Families:")
    for name, summary in known_families():
        click.echo(f"  {name:<12} {summary}")
