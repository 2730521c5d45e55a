"""Kinds of option values that several commands share, judged without torch."""

from typing import Any

import click

from vidcm.core.devices import DEVICES

DEVICE = click.Choice(DEVICES)


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
