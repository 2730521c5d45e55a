"""What `vidcm interpolate` says of a file: what it will take, and what became of it."""

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcm.core.memory import peak_resident
from vidcm.interpolation.estimate import Estimate
from vidcm.interpolation.progress import Progress, clock_time, emit

if TYPE_CHECKING:
    from vidcm.interpolation.done import Report


def tell_that_it_begins(target: Path, as_json: bool) -> None:
    """Where going on was asked for: a run that ended before anything of it was whole leaves nothing, so that is no
    mistake, and a script may give --resume each time; but a mistyped name begins a run of hours."""
    if as_json:
        emit("begin", target=str(target))
    else:
        click.echo(f"{target}: there is nothing of it to go on with, so it is made from the beginning", err=True)


def tell_that_it_is_finished(target: Path, as_json: bool) -> None:
    """Where going on was asked for: a script that gives --resume each time has come to its end."""
    if as_json:
        emit("finished", target=str(target))
    else:
        click.echo(f"{target}: is finished, with these settings; leave --resume out to make it again")


def foretell(target: Path, progress: Progress, estimate: Estimate) -> None:
    """What a long run will take, as soon as its first frames have shown it. Memory does not grow with their number."""
    free, memory = shutil.disk_usage(target.absolute().parent).free, peak_resident()
    if progress.as_json:
        known = {"left_s": round(estimate.left_s, 1), "size": estimate.size, "free": free, "memory": memory}
        emit("estimate", target=str(target), **known)
        return
    size = "" if estimate.size is None else f", about {_mib(estimate.size)} of pictures"
    tight = f", and only {_mib(free)} are free" if 2 * (estimate.size or 0) > free else ""  # parts, and all
    held = "" if memory is None else f"; about {_mib(memory)} of memory"
    progress.close()
    time = f"about {clock_time(estimate.left_s)} left, {estimate.frames} frames in all"
    click.echo(f"{target}: {time}{size}{tight}{held}", err=True)


def _mib(amount: int) -> str:
    """Bytes, to two digits where they are few."""
    mib = amount / 2**20
    return f"{mib:.0f} MiB" if mib >= 10 else f"{max(mib, 0.01):.1f} MiB" if mib >= 1 else f"{max(mib, 0.01):.2f} MiB"


def tell(report: "Report", as_json: bool) -> None:
    for note in (*report.problems, *(f"not kept: {stream}" for stream in report.dropped)):
        click.echo(f"{report.source}: {note}", err=True)
    if as_json:
        emit("done", **report.as_dict())
        return
    average = f"{float(report.frames_out / report.duration_s):.6g} fps on average" if report.duration_s else "?"
    rate = f"{float(Fraction(report.rate)):.6g} fps" if report.rate else average
    slower = "" if report.times_slower == "1" else f", {float(Fraction(report.times_slower)):.6g} times slower"
    kept = f", {report.frames_kept} of them there before" if report.frames_kept else ""
    repeats = f", {report.repeats} repeat{'s' * (report.repeats > 1)} replaced" if report.repeats else ""
    lost = len(report.filled)
    filled = f", {lost} damaged or missing frame{'s' * (lost > 1)} replaced" if lost else ""
    unsure = f", {report.frames_replaced} below --min-confidence replaced" if report.frames_replaced else ""
    cuts = f", {_cuts(report.cuts)}" if report.cuts else ""
    lit = len(report.flashes)
    flashes = f", {lit} flashed frame{'s' * (lit > 1)} shown alone" if lit else ""
    places = len(report.overlays)
    still = f", {places} place{'s' * (places > 1)} kept still as overlays (not with --overlays off)" if places else ""
    click.echo(
        f"{report.target}: {report.frames_out} frames from {report.frames_in} ({report.frames_made} made){kept}, "
        f"{rate}, {report.duration_s:.3f} s{slower}{repeats}{filled}{unsure}{cuts}{flashes}{still}, "
        f"in {clock_time(report.wall_s)}",
        err=report.target == "-",  # where the pictures went
    )


def _cuts(frames: Sequence[int]) -> str:
    several = "s" * (len(frames) > 1)
    return f"cut{several} at source frame{several} {', '.join(map(str, frames))}"
