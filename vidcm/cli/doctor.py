"""`vidcm doctor`: what this installation has and what of it works. Backends are tried, not only looked up."""

import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from vidcm import __version__
from vidcm.cli.models import describe, shipped_models
from vidcm.core.shipped import shipped
from vidcm.core.size import pixels_of
from vidcm.families.grids import grid_of
from vidcm.families.published import check_known
from vidcm.generation.shipped import named

DTYPES = ("bfloat16", "float16", "float32")

Finding = tuple[str, str, str]  # state ("ok", "note" or "fail"), what, how it stands


def packages() -> Iterator[Finding]:
    """Each package that the installed vidcm names as required or extra, with its version."""
    for requirement in metadata.requires("vidcm") or []:
        name = re.match(r"[\w.-]+", requirement)[0]  # type: ignore[index]
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if name == "vidcm" or (extra and extra[1] in ("test", "all")):
            continue
        try:
            yield "ok", name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield "note", name, f"not installed (pip install 'vidcm[{extra[1]}]')" if extra else "not installed"


def devices() -> Iterator[Finding]:
    """The devices torch sees, and how its threads wait."""
    import torch

    yield "ok", "cpu", f"{torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        yield "ok", f"cuda:{index}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "ok", "mps", platform.machine()
    policy = os.environ.get("OMP_WAIT_POLICY", "not set").upper()
    if policy == "PASSIVE":
        yield "ok", "OMP_WAIT_POLICY", policy
    else:
        yield "note", "OMP_WAIT_POLICY", f"{policy}: PASSIVE is faster wherever cores are shared"


def write_probe_clip(path: Path, frames: int = 4) -> None:
    """A clip of grey 64x64 frames with the codec every build of FFmpeg has."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.full((64, 64, 3), 40 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def readers() -> Iterator[Finding]:
    """Each video reader, tried on a clip written for it."""
    from vidcm.media.reader import open_reader

    with tempfile.TemporaryDirectory() as folder:
        write_probe_clip(clip := Path(folder) / "probe.mp4")
        for backend, failure in (("pyav", "fail"), ("decord", "note")):  # decord is optional
            try:
                with open_reader(clip, backend=backend) as reader:
                    yield "ok", backend, f"read {len([frame.rgb for frame in reader])} frames"
            except Exception as error:  # a broken library may raise anything
                yield failure, backend, first_line(error)


def encoders() -> Iterator[Finding]:
    """Hardware encoders that work, each tried; software ones are always there."""
    from vidcm.media.hardware import at_work

    found = at_work()
    for name in (name for name, reason in found.items() if reason is None):
        yield "ok", name, "encodes (--encoder auto takes it)"
    if missing := [name for name, reason in found.items() if reason is not None]:
        yield "note", "not usable here", f"{', '.join(missing)}; software serves"


def attention() -> Iterator[Finding]:
    """Each attention backend on each kind of device, run once."""
    import torch

    from vidcm.models.attention import probe

    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        for backend, answer in probe(device).items():
            if backend == "xformers" and answer != "ok":  # its reasons are long, and there is a peer
                yield "note", f"{backend} on {device}", f"not usable here ({answer.partition(':')[0]}); sdpa serves"
            else:
                yield "ok" if answer == "ok" else "fail", f"{backend} on {device}", answer


def models() -> Iterator[Finding]:
    """The models in the package; without one the commands need --model."""
    found = False
    for name, directory in shipped_models():
        found = True
        yield "ok", name, describe(directory)
    if not found:
        yield "fail", "shipped model", "none in this installation: name one with --model, or install the package again"


def first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


SECTIONS = {
    "Packages": packages,
    "Devices": devices,
    "Readers": readers,
    "Encoders": encoders,
    "Attention": attention,
    "Models": models,
}


@click.command()
@click.option("--model", metavar="DIR|NAME", help="Tell what a clip of this model takes; NAME: of a published one.")
@click.option("--size", metavar="WxH", help="Of the clip, in pixels.  [default: usual for the model]")
@click.option("--num-frames", metavar="N", type=click.IntRange(min=1), help="[default: usual for the model]")
@click.option("--steps", type=click.IntRange(1, 1000), default=2, show_default=True, help="Network steps.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Of the networks.  [default: bfloat16, as on CUDA]")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts; of a model only.")
@click.pass_context
def command(ctx: click.Context, model: str | None, as_json: bool, **clip: Any) -> None:
    """Show versions, devices, and which backends work here. Fails if something needed does not.

    With --model, what a clip of it takes in memory and operations, before any weight is loaded: a model directory, or
    one of the published models by name (an unknown name lists them).
    """
    if model is not None:
        needs_of(model, as_json, **clip)
        return
    given = [f"--{name.replace('_', '-')}" for name in ("size", "num_frames", "dtype") if clip[name] is not None]
    if given or as_json:
        raise click.UsageError(f"{(given or ['--json'])[0]} describes a clip: name its --model, too")
    examine(ctx)


def needs_of(
    model: str, as_json: bool, *, size: str | None, num_frames: int | None, steps: int, dtype: str | None
) -> None:
    """Print what a clip takes."""
    pixels, name = pixels_of(size), named(Path(model))
    place = model if name is None else shipped(name)
    check_known(place)
    if (grid := grid_of(place)) is not None:
        grid.check(num_frames or 1, *(pixels or (grid.side, grid.side)))
    import torch

    from vidcm.cli import needs as table
    from vidcm.core.devices import present_device
    from vidcm.families.skeleton import skeleton
    from vidcm.families.stock import hush
    from vidcm.generation.needs import needs

    hush()
    kind = dtype or "bfloat16"
    family = skeleton(place, getattr(torch, kind))
    frames, *usual = family.usual_clip
    found = needs(family, (num_frames or frames, *(pixels or usual)), steps)
    if as_json:
        click.echo(json.dumps(table.as_dict(found, model, kind)))
    else:
        table.tell(found, model, kind, str(present_device("auto")))


def examine(ctx: click.Context) -> None:
    click.echo(f"vidcm {__version__}, Python {platform.python_version()}, {platform.platform()}")
    failed = False
    for title, section in SECTIONS.items():
        click.echo(f"{title}:")
        try:
            for state, what, text in section():
                failed |= state == "fail"
                click.echo(f"  {state:<4}  {what:<24} {text}")
        except ImportError as error:
            failed = True
            click.echo(f"  fail  {first_line(error)}")
    if failed:
        ctx.exit(1)
