"""`vidcm generate`: clips from prompts and images. Arguments are judged before torch is imported or a model is read."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm.cli.made import Teller, check_sheet, end, foretell, sheet_of_jobs, sheet_of_takes, tell
from vidcm.cli.options import DEVICE, PLACE, PLACE_HELP, WORKERS_HELP, Temperature, check_place
from vidcm.core.devices import own_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.processes import ALONE, Processes, launched
from vidcm.generation.fitting import check_fits
from vidcm.generation.jobs import FITS, SAMPLERS, Job, Line, check, read_manifest
from vidcm.generation.shipped import check_shipped, named
from vidcm.interpolation.check import check_model, check_target
from vidcm.media.encoders import check_codec
from vidcm.settings import from_mapping

if TYPE_CHECKING:
    import torch

    from vidcm.generation.makers import Maker
    from vidcm.generation.run import Load

ATTENTION = ("xformers", "sdpa", "math", "rows")
FRAME, SHEET = click.Path(path_type=str), click.Path(path_type=Path)


@click.command("generate", short_help="Make clips from prompts and images.")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="Video to write (.mp4, .mov, .mkv, .webm), or pictures such as f_%04d.png; with --batch, a folder.",
)
@click.option("--batch", metavar="JOBS.jsonl", type=click.Path(path_type=Path), help="A job on each line, as JSON.")
@click.option("--model", type=click.Path(path_type=Path), help="clip or motion, which are shipped, or a directory.")
@click.option("--prompt", metavar="TEXT", help="What is to be seen.")
@click.option("--negative-prompt", metavar="TEXT", help="What guidance leads away from.")
@click.option("--image", metavar="FILE", type=FRAME, help="The first frame.")
@click.option("--last-image", metavar="FILE", type=FRAME, help="The last frame.")
@click.option("--num-frames", metavar="N", type=click.IntRange(min=1), help="[default: usual for the model]")
@click.option("--size", metavar="WxH", help="In pixels.  [default: usual for the model, of the image's aspect]")
@click.option("--fit", type=click.Choice(FITS), help="What is done to an image of another aspect.  [default: crop]")
@click.option("--fps", metavar="RATE", help="Frames per second.  [default: usual for the model]")
@click.option(
    "--steps", type=click.IntRange(1, 1000), help="Network steps.  [default: 2; of a model that is not tuned 50]"
)
@click.option("--sampler", type=click.Choice(SAMPLERS), help="[default: by the weights, tuned or not]")
@click.option("--guidance", type=float, help="Scale; 1 is none.  [default: 1; of a model that is not tuned its usual]")
@click.option("--guidance-2", type=float, help="Of the second network of Wan 2.2 A14B.  [default: as --guidance]")
@click.option("--temperature", type=Temperature(), help="Scale of the noise.  [default: stored with the model]")
@click.option("--seed", type=int, help="Another seed, another clip.  [default: 0]")
@click.option("--takes", type=click.IntRange(1, 1000), help="So many clips, of the seeds from --seed on.  [default: 1]")
@click.option("--contact-sheet", "sheet", metavar="FILE.png", type=SHEET, help="Frames of every clip in one picture.")
@click.option("--device", default="auto", show_default=True, type=DEVICE, help="What the model runs on.")
@click.option("--low-memory", is_flag=True, help="Parts of the model wait on the CPU; frames are decoded in tiles.")
@click.option("--attention", type=click.Choice(ATTENTION), help="Who computes it.  [default: what serves best here]")
@click.option("--on", "place", default="here", show_default=True, type=PLACE, help=PLACE_HELP)
@click.option("--workers", metavar="N", type=click.IntRange(min=1), help=WORKERS_HELP)
@click.option("--json", "as_json", is_flag=True, help="JSON events on stdout, one a line.")
@click.pass_context
def command(
    ctx: click.Context,
    target: Path,
    batch: Path | None,
    model: Path | None,
    device: str,
    low_memory: bool,
    attention: str | None,
    place: str,
    workers: int | None,
    takes: int | None,
    sheet: Path | None,
    as_json: bool,
    **fields: Any,
) -> None:
    """Make a clip of a prompt, a first image, or a first and a last one; or many, with --batch.

    Without --model, a shipped model makes it, without text: between two images `motion`, at their own size; from one
    image, or none, `clip`, small. --model DIR takes a diffusers directory: Wan, LTX-Video or CogVideoX.

    A line of JOBS.jsonl is an object with these options as fields (num_frames for --num-frames), and "name" for that of
    its file. Options given here count for the lines that do not say otherwise. Finished jobs are skipped.
    """
    given = {key: value for key, value in fields.items() if value is not None}
    if named(model) is None:
        check_model(model, "adapter.json")
    check_sheet(sheet, target)
    if batch is not None and takes is not None:
        raise click.UsageError(f"--takes is for one clip: give the lines of {batch} seeds of their own")
    check_place(place, workers, "--batch JOBS.jsonl" if batch is None else None)
    options = {"device": device, "low_memory": low_memory, "attention": attention}
    options["quiet"] = not ctx.find_root().params["verbose"]
    if batch is None:
        _one(target, model, given, takes or 1, sheet, options, as_json)
    else:
        _many(ctx, target, batch, model, given, options, as_json, on_ray=place == "ray", workers=workers, sheet=sheet)


def _one(
    target: Path,
    model: Path | None,
    given: dict[str, Any],
    takes: int,
    sheet: Path | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """options: see `_loading`."""
    try:
        job = check(from_mapping(Job, given))
        check_codec(target, None)
        _check_for(job, model)
        check_fits(job, model)
        check(replace(job, seed=job.seed + takes - 1))
    except WrongUse:
        raise
    except UserError as error:
        raise click.UsageError(str(error)) from error
    wanted = [(replace(job, seed=job.seed + take), _take(target, job.seed + take, takes)) for take in range(takes)]
    for key, path in job.images().items():
        if not Path(path).is_file():
            raise WrongUse(f"--{key.replace('_', '-')} {path} is not there: check the path")
    for _, place in wanted:
        check_target(place)
        for key, path in job.images().items():
            if place.exists() and place.samefile(path):
                raise WrongUse(f"{place} is --{key.replace('_', '-')} itself: choose another name for the output")
    _check_images(job)
    from vidcm.generation.run import make_clip

    maker, where = _loading(model, **options)()
    told: set[str] = set()
    for one, place in wanted:
        tell(make_clip(one, place, maker, where), place, as_json, told)
    if sheet is not None:
        sheet_of_takes(sheet, [(f"seed {one.seed}", place) for one, place in wanted])


def _check_images(job: Job) -> None:
    """Raises UserError for what is no image, before the model is there to ask for it."""
    from vidcm.generation.pictures import read_image

    for path in job.images().values():
        read_image(path)


def _check_line(model: Path | None, job: Job) -> None:
    """Raises UserError for a job that the model cannot do, as far as that is known before it is read."""
    check_fits(job, model)
    _check_images(job)


def _take(target: Path, seed: int, takes: int) -> Path:
    """The file of one of several takes bears its seed."""
    return target if takes == 1 else target.with_stem(f"{target.stem}-{seed}")


def _many(
    ctx: click.Context,
    folder: Path,
    batch: Path,
    model: Path | None,
    given: dict[str, Any],
    options: dict[str, Any],
    as_json: bool,
    *,
    on_ray: bool,
    workers: int | None,
    sheet: Path | None,
) -> None:
    """options: see `_loading`; on_ray, workers: see `make_all_on_ray`."""
    lines = _lines(folder, batch, model, given)
    from vidcm.generation.makers import identity
    from vidcm.generation.run import Manifest
    from vidcm.work.batch import make_all

    processes, teller = launched(), Teller(as_json)
    if on_ray:  # workers start in a folder of their own
        folder = folder.absolute()
        model = model if model is None or named(model) else model.absolute()
    load = _loading(model, processes=processes, **options)
    manifest = Manifest(folder, load, identity(model), partial(_check_line, model))
    if on_ray:
        from vidcm.work.cluster import make_all_on_ray

        records = make_all_on_ray(manifest, lines, workers=workers, device=options["device"], tell=teller)
    else:
        own_device(options["device"], processes)  # refused before anything is made
        is_new = any(not manifest.place(line).is_file() for line in lines)
        if processes.is_first and is_new and model is not None and named(model) is None:
            foretell(lines, model, as_json, device=options["device"], quiet=options["quiet"])
        records = make_all(manifest, lines, processes=processes, tell=teller)
    if processes.is_first:
        if sheet is not None:
            sheet_of_jobs(sheet, records, folder)
        end(ctx, records, manifest.summary(records), folder, as_json)


def _lines(folder: Path, batch: Path, model: Path | None, given: dict[str, Any]) -> list[Line]:
    """The jobs of the manifest. Raises UserError where one of them, or the folder, cannot be."""
    for key in ("image", "last_image"):
        if key in given:
            raise click.UsageError(f"--{key.replace('_', '-')} is for one clip: name the image in each line of {batch}")
    lines = read_manifest(batch, given)
    for line in lines:
        try:
            _check_for(line.job, model)
        except UserError as error:
            raise UserError(f"{batch}, line {line.number}: {error}") from error
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is a file: with --batch, -o names a folder")
    if not folder.absolute().parent.is_dir():
        raise WrongUse(f"the folder {folder.absolute().parent} does not exist: create it first, or write elsewhere")
    return lines


def _check_for(job: Job, model: Path | None) -> None:
    """Raises UserError for a job that the model cannot do, as far as that is known before it is read."""
    if model is None or named(model) is not None:
        check_shipped(job, named(model))
    elif job.prompt is None and not job.images():
        raise WrongUse("there is nothing to go by: give a prompt or an image")


def _loading(
    model: Path | None,
    *,
    device: str,
    low_memory: bool,
    attention: str | None,
    quiet: bool,
    processes: Processes = ALONE,
) -> "Load":
    """Gives the model and where it runs, in this process or a worker of a cluster."""

    def load() -> "tuple[Maker, torch.device]":
        from vidcm.generation.makers import load_maker

        place, bars = own_device(device, processes), sys.stderr.isatty()
        how = {"low_memory": low_memory, "attention": attention, "quiet": not bars, "hushed": quiet}
        return load_maker(model, place, **how), place

    return load
