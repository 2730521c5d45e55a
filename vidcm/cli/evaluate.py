"""`vidcm evaluate`: dropped frames rebuilt, or clips made, scored against true ones; a table and JSON."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from vidcm.cli.model_path import ModelPath
from vidcm.cli.options import DEVICE, Temperature
from vidcm.evaluation.config import EvaluationConfig
from vidcm.evaluation.generation_config import FEWEST, GIVEN, LEAST, GenerationConfig
from vidcm.interpolation.check import check_model
from vidcm.settings import from_mapping, read_yaml

DEFAULTS = EvaluationConfig()


def setting(name: str, kind: Any, help: str) -> Any:
    """An option that overrides the field `name` of EvaluationConfig; the default shown is the field's."""
    default = getattr(DEFAULTS, name)
    shown = ",".join(default) if isinstance(default, tuple) else default
    note = "" if default is None or default is False else f"  [default: {shown}]"
    if kind is bool:
        return click.option(f"--{name}", is_flag=True, default=None, help=help)
    return click.option(f"--{name.replace('_', '-')}", name, type=kind, default=None, help=help + note)


GENERATION = GenerationConfig()
PICTURES = (".png", ".jpg")


@click.group()
def command() -> None:
    """Score a model against the truth and against baselines."""


@command.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@setting("split", str, "Only these rows of a folder's manifest.csv: train or val.")
@setting("size", str, "Width x height that clips are brought to.")
@setting("native", bool, "Leave out clips smaller than that, instead of scaling them up.")
@setting("factor", click.IntRange(2), "Keep every FACTOR-th frame and rebuild those between.")
@setting("methods", str, "Methods, by commas: hold, crossfade, dis, minterpolate, vidcm.")
@setting("model", str, "Model directory of the method vidcm.  [default: the shipped one]")
@setting("device", DEVICE, "What the model runs on.")
@setting("steps", click.IntRange(0), "Network steps of vidcm; 0: motion estimate only.")
@setting("seed", int, "Seed of its noise.")
@setting("temperature", Temperature(), "Scale of its noise.  [default: stored with the model]")
@setting("max_pairs", click.IntRange(0), "Pairs of kept frames per clip, spread evenly; 0: all.")
@setting("ladder", bool, "Also the ladder of latents: draft, random, 1 and 2 steps, teacher, shuffled, posterior.")
@setting("ladder_pairs", click.IntRange(1), "Pairs per clip on the ladder.")
@setting("ladder_seeds", click.IntRange(2), "Samples per pair on the ladder.")
@setting("teacher_steps", click.IntRange(1), "Steps of the teacher on the ladder.")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="YAML with these settings."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
@click.option("--figure", type=click.Path(dir_okay=False, path_type=Path), help="Write a PNG to look at here.")
def interpolation(
    clips: tuple[Path, ...], config: Path | None, json_file: Path | None, figure: Path | None, **settings: Any
) -> None:
    """Drop frames of CLIPS (video files, folders), rebuild them, and score the rebuilt frames."""
    chosen = {name: value for name, value in settings.items() if value is not None}
    if "methods" in chosen:
        chosen["methods"] = _listed(chosen["methods"])
    resolved = from_mapping(EvaluationConfig, {**(read_yaml(config) if config else {}), **chosen})
    check_model(None if resolved.model is None else Path(resolved.model))
    _check_folders(json_file, figure)
    if figure is not None and figure.suffix.lower() not in PICTURES:
        raise click.UsageError(f"--figure {figure}: use a name that ends in {' or '.join(PICTURES)}")

    from vidcm.evaluation.report import summary
    from vidcm.evaluation.run import evaluate

    _score(partial(evaluate, clips, resolved, figure=figure, report=_progress), summary, json_file)


@command.command()
@click.argument("dataset", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=ModelPath(), help="Model directory.  [default: the shipped clip model]")
@click.option("--split", help=f"Clips of this split are held against: val or train.  [default: {GENERATION.split}]")
@click.option("--clips", type=int, help=f"How many, evenly over all: {LEAST} or more.  [default: {GENERATION.clips}]")
@click.option("--given", help=f"Frames that the model is told, by commas.  [default: of {','.join(GIVEN)} what it can]")
@click.option(
    "--num-frames", type=click.IntRange(FEWEST), help="Of each clip, five or more.  [default: usual for the model]"
)
@click.option("--size", metavar="WxH", help="[default: usual for the model]")
@click.option("--prompt", metavar="TEXT", help="For clips without a caption, where the model reads text.")
@click.option("--steps", type=click.IntRange(1, 1000), help="Network steps.  [default: 2; of a model not tuned 50]")
@click.option("--sampler", type=click.Choice(("consistency", "ode")), help="[default: by the weights, tuned or not]")
@click.option("--seed", type=int, help="Of the noise.")
@click.option("--batch", type=click.IntRange(1), help="Clips made at once: faster for small models.  [default: 1]")
@click.option("--device", type=DEVICE, help="What the model runs on.  [default: auto]")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
def generation(dataset: Path, json_file: Path | None, **settings: Any) -> None:
    """Make clips as DATASET has them, and measure how far they are from held-out ones.

    DATASET is what `vidcm prepare` wrote. Baselines that cost nothing stand beside the model where frames are given.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if "given" in chosen:
        chosen["given"] = _listed(chosen["given"])
    chosen |= {"model": str(chosen["model"])} if "model" in chosen else {}
    config = from_mapping(GenerationConfig, chosen)
    check_model(None if config.model is None else Path(config.model), "adapter.json")
    _check_folders(json_file)

    from vidcm.evaluation.generation import evaluate_generation, summary
    from vidcm.families.stock import hush

    hush()
    _score(partial(evaluate_generation, dataset, config, _progress), summary, json_file)


def _listed(names: str) -> list[str]:
    """What stands between the commas."""
    return [name.strip() for name in names.split(",") if name.strip()]


def _check_folders(*targets: Path | None) -> None:
    for target in targets:
        if target is not None and not target.absolute().parent.is_dir():
            raise click.UsageError(f"the folder of {target} does not exist")


def _score(score: Callable[[], Any], summary: Callable[[Any], str], json_file: Path | None) -> None:
    """Score, print the table, write the JSON."""
    from vidcm.evaluation.report import write_json

    try:
        result = score()
    finally:
        if sys.stderr.isatty():
            _progress("")
    click.echo(summary(result))
    if json_file is not None:
        write_json(json_file, result)


def _progress(line: str) -> None:
    """One line that changes on a terminal, plain lines elsewhere; on stderr, so that the table can be piped."""
    click.echo(f"\r\033[K{line}" if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())
