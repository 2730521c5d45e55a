"""`vidcm objectives`: the training objectives, each with the first line of its file."""

import sys

import click


@click.command()
def command() -> None:
    """List the training objectives and the papers they come from."""
    from vidcm import losses

    names = losses.available()
    width = max(map(len, names))
    for name in names:
        module = sys.modules[losses.get(name).__module__]
        click.echo(f"{name:<{width}}  {(module.__doc__ or '').splitlines()[0]}")
