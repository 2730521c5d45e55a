"""`vidcm interpolate --reroll`: what goes with it, and what is said of it."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcm.cli.file import Shared
from vidcm.cli.options import judged
from vidcm.core.errors import UserError
from vidcm.interpolation.progress import emit
from vidcm.interpolation.span import clock_seconds

if TYPE_CHECKING:
    from vidcm.interpolation.replacing import Rerolled

WIDER = 15.0  # temperature: samples are drawn towards the model's mean, and at 3 takes of calm footage are still alike

# Options that make another file, or none at all, of what is there.
OTHERWISE = ("span", "preview", "resume", "reports", "repair", "suffix", "input_fps", "allow_truncated", "memory")
# Those of them that outputs to be made again in part were made without.
WITHOUT = ("--range", "--preview", "--repair", "--input-fps", "--allow-truncated")
# What both takes must have in common.
KEPT = ("rule", "codec", "quality", "encoder", "doubt", "cuts", "at_cuts", "interlaced", "overlays")


def _parse(text: str) -> Fraction:
    """`5.2`, `5.2s` or `1:30.25` -> seconds of the output. Raises UserError for anything else."""
    seconds = clock_seconds(text.strip().removesuffix("s"))
    if seconds is None:
        raise UserError(f"--reroll must be a time of OUT, such as 12.48 or 1:30.25, got {text[:60]!r}")
    return seconds


def check_reroll(ctx: click.Context, source: Path, target: Path, at: str) -> Fraction:
    """Seconds of the output that `at` says.

    Raises UsageError unless there is an output, another seed, and nothing that has no place beside it.
    """
    if source.is_dir():
        raise click.UsageError("--reroll is for one video: name one of the folder")
    names = {param.name: max(param.opts, key=len) for param in ctx.command.params}
    other = next((name for name in OTHERWISE if ctx.params[name]), None)
    if other is not None:
        raise click.UsageError(f"--reroll does not go with {names[other]}: leave one of them out")
    if ctx.get_parameter_source("seed") is click.core.ParameterSource.DEFAULT:
        raise click.UsageError("--reroll needs --seed: another one than OUT was made with")
    if reason := _sameness(ctx.params["steps"], ctx.params["temperature"]):
        raise click.UsageError(f"--reroll has nothing to draw: {reason}")
    if not target.is_file():
        raise click.UsageError(f"--reroll makes a part of {target} again, which is not there: make it first")
    return judged(_parse, at)


def _sameness(steps: int, temperature: float | None) -> str:
    """Why every seed gives the same, and the way out; empty where it does not."""
    if steps <= 1:  # noise comes in with the second step
        return f"with --steps {steps} every seed gives the same, leave it out"
    return "with --temperature 0 every seed gives the same, leave it out" if temperature == 0 else ""


def interpolate_again(source: Path, target: Path, at: Fraction, shared: Shared) -> None:
    if shared.processes.count > 1:
        raise click.UsageError("--reroll is for one process: start it without torchrun")
    from vidcm.interpolation.finished import check_without
    from vidcm.interpolation.lazily import Lazily
    from vidcm.interpolation.reroll import reroll

    check_without(target, WITHOUT, shared.options)
    how = {name: shared.how[name] for name in KEPT}
    interpolator = Lazily(shared.loader())
    done = reroll(source, target, at, interpolator=interpolator, detector=shared.detector(), **how)
    _tell(done, shared)


def _tell(done: "Rerolled", shared: Shared) -> None:
    if shared.as_json:
        emit("rerolled", **asdict(done))
        return
    made = "1 frame" if done.frames_made == 1 else f"{done.frames_made} frames"
    until = "" if done.frames_made == 1 else f" to {done.end_s:.3f} s"
    click.echo(
        f"{done.target}: {made} at {done.start_s:.3f} s{until} made again, {done.differs.mean:.2f} of 255 grey levels "
        f"from the take before on average and {done.differs.largest:.1f} where most; for them {done.frames_encoded} "
        f"frames from {done.encoded_from_s:.3f} s to {done.encoded_to_s:.3f} s were encoded again"
    )
    if done.differs.is_slight:
        click.echo(f"{done.target}: the takes hardly differ: {_why(shared)}", err=True)


def _why(shared: Shared) -> str:
    """And the way out."""
    temperature = shared.sampling["temperature"]
    wider = WIDER if temperature is None or temperature < WIDER else 2 * temperature
    return (
        "the model is sure of what lies between these source frames, or --seed is the one it was made with; "
        f"--temperature {wider:g} draws takes further apart"
    )
