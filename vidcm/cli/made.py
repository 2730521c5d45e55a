"""What `vidcm generate` says and shows of what it has made: a line for each clip, the sum, a contact sheet."""

import time
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm.core.devices import own_device
from vidcm.generation.jobs import Line
from vidcm.interpolation.progress import clock_time, emit

if TYPE_CHECKING:
    from vidcm.generation.run import ClipRecord
    from vidcm.generation.sheet import Row


def tell(record: "ClipRecord", target: Path, as_json: bool, told: set[str]) -> None:
    """told: the notes on other takes, which are not said again; it gets those on this one."""
    for note in record.notes:
        if note not in told:
            click.echo(note, err=True)
    told.update(record.notes)
    if as_json:
        facts = _facts(record)
        emit("done", target=str(target), **{key: facts[key] for key in ("seconds", "peak_mib", "settings", "notes")})
        return
    made = record.settings
    click.echo(
        f"{target}: {made['num_frames']} frames of {made['size']} at {float(Fraction(made['fps'])):.6g} fps, "
        f"in {made['steps']} step{'s' if made['steps'] > 1 else ''}, {record.seconds:.1f} s, "
        f"at most {record.peak_mib:.0f} MiB of memory"
    )


def foretell(lines: list[Line], model: Path, as_json: bool, *, device: str, quiet: bool) -> None:
    """Say what the largest clip takes, and what to do where that is more than there is."""
    from vidcm.cli.needs import size
    from vidcm.families.stock import hush
    from vidcm.generation import foretell as room

    if quiet:
        hush()
    found = room.foretell(lines, model, own_device(device))
    if found is None:
        return
    count, height, width = found.shape
    if as_json:
        emit("estimate", **{**asdict(found), "shape": list(found.shape)})
        return
    steps = f"{found.steps} step{'s' if found.steps > 1 else ''}"
    told = f"the largest clip, {count} frames of {width}x{height} in {steps}, takes about "
    beside = f", beside the {size(found.process)} of the process," if found.process else ""
    told += f"{size(found.resident)} of memory for weights and work{beside} and {found.flops / 1e12:.3g} TFLOP"
    if found.there is not None and found.resident + found.process > found.there:
        told += f", more than the {size(found.there)} here: --low-memory takes {size(found.low_memory)}"
    click.echo(told, err=True)


class Teller:
    """A line for each job that is behind us, with the time that is left at the pace of those that were made."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.started, self.made = time.monotonic(), 0

    def __call__(self, record: "ClipRecord", line: Line, done: int, count: int) -> None:
        if self.as_json:
            emit("job", done=done, expected=count, **_facts(record))
            return
        self.made += record.status == "done"
        left_s = (time.monotonic() - self.started) / self.made * (count - done) if self.made else 0.0
        left = f", {clock_time(left_s)} left" if left_s else ""
        said = {"done": f"{record.seconds:.1f} s", "kept": record.remark or "was finished before"}.get(
            record.status, record.error
        )
        click.echo(f"[{done}/{count}] {record.key}: {said}{left}", err=True)
        for note in record.notes if record.status == "done" else ():
            click.echo(f"  {note}", err=True)


def end(ctx: click.Context, records: "list[ClipRecord]", summary: dict[str, Any], folder: Path, as_json: bool) -> None:
    """The sum; exit code 2 with a list where some failed."""
    failed = [record for record in records if record.status != "done"]
    if as_json:
        emit("done", folder=str(folder), **{key: value for key, value in summary.items() if key != "clips"})
    else:
        clips, jobs = (
            f"{count} {what}{'' if count == 1 else 's'}"
            for count, what in ((len(records) - len(failed), "clip"), (len(records), "job"))
        )
        click.echo(f"{folder}: {clips} of {jobs}, summary.json has each")
    for record in failed:
        click.echo(f"failed: line {record.line}, {record.key}: {record.error}", err=True)
    if failed:
        ctx.exit(2)


def check_sheet(sheet: Path | None, target: Path) -> None:
    if sheet is None:
        return
    if sheet.suffix.lower() != ".png":
        raise click.UsageError(f"--contact-sheet {sheet}: use a name that ends in .png")
    if not sheet.absolute().parent.is_dir() and sheet.absolute().parent != target.absolute():
        raise click.UsageError(f"the folder of {sheet} does not exist")


def sheet_of_takes(sheet: Path, clips: list[tuple[str, Path]]) -> None:
    """Captions and video files."""
    from vidcm.generation.sheet import Row

    _save_sheet(sheet, [Row(caption, clip) for caption, clip in clips])


def sheet_of_jobs(sheet: Path, records: "list[ClipRecord]", folder: Path) -> None:
    """Of those that failed, too."""
    from vidcm.generation.sheet import Row

    rows = [
        Row(record.key, folder / str(record.file))
        if record.status == "done"
        else Row(f"line {record.line}, {record.key}: failed", None, record.error or "")
        for record in records
    ]
    _save_sheet(sheet, rows)


def _save_sheet(sheet: Path, rows: "list[Row]") -> None:
    from vidcm.data.sheet import save_sheet
    from vidcm.generation.sheet import contact_sheet

    if rows:
        save_sheet(sheet, contact_sheet(rows))


def _facts(record: "ClipRecord") -> dict[str, Any]:
    beside = ("fingerprint", "bytes", "mtime_ns", "tries")
    return {key: value for key, value in asdict(record).items() if key not in beside}
