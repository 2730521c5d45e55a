"""Kinds of option values that several commands share, judged without torch."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from vidcm.core.devices import DEVICES
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.processes import launched

T = TypeVar("T")
DEVICE = click.Choice(DEVICES)
PLACE = click.Choice(("here", "ray"))
PLACE_HELP = "Where a list of jobs is made: here, in this process or those of torchrun, or on a Ray cluster."
WORKERS_HELP = "Models at work at once, with --on ray.  [default: one for each GPU, or node without any]"


def judged(judge: Callable[..., T], *values: Any) -> T:
    """What `judge` makes of option values; what it refuses is wrong use."""
    try:
        return judge(*values)
    except UserError as error:
        raise click.UsageError(str(error)) from error


def check_place(place: str, workers: int | None, many: str | None) -> None:
    """place: one of PLACE. many: the option that would make a list of jobs, where there is none.

    Raises UserError or click.UsageError for what does not go together, and where Ray is not installed.
    """
    if place == "here":
        if workers is not None:
            raise click.UsageError(f"--workers {workers} is for --on ray: give that too, or start with torchrun")
        return
    if many is not None:
        raise click.UsageError(f"--on ray is for many jobs: give {many}")
    if launched().count > 1:
        raise WrongUse("--on ray starts workers of its own: start the command once, without torchrun")
    if find_spec("ray") is None:
        raise WrongUse('--on ray needs Ray, which is not installed: pip install "vidcm[cluster]"')


class Temperature(click.ParamType):
    """Scale of the noise: a number of at least 0. Unlike click.FloatRange(0) it lets neither nan nor inf pass."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 <= number < float("inf"):
            self.fail(f"it must be a number of at least 0, got {value} (try 0, 0.5 or 1)", param, ctx)
        return number
