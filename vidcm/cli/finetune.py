"""`vidcm finetune`: tune the shipped model, or a generator, on a prepared dataset of one's own footage."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm.cli.model_path import ModelPath
from vidcm.cli.options import DEVICE
from vidcm.core.processes import launched
from vidcm.core.shipped import shipped
from vidcm.finetuning.check import check_clips, check_dataset, check_kind, check_run
from vidcm.finetuning.config import PARTS, USUAL, FinetuneConfig
from vidcm.interpolation.check import check_model
from vidcm.interpolation.progress import emit

if TYPE_CHECKING:
    from vidcm.finetuning.run import Tuned

DEFAULTS = FinetuneConfig()


@click.command("finetune", short_help="Tune the model on a dataset of your footage.")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "run", metavar="RUN", required=True, type=click.Path(path_type=Path), help="Folder of the run."
)
@click.option("--model", type=ModelPath(), help="Model directory to start from, motion or clip.  [default: motion]")
@click.option(
    "--parts",
    metavar="PART,...",
    help=f"Of a motion model, what is tuned: {', '.join(PARTS)}.  [default: {','.join(USUAL)}]",
)
@click.option(
    "--objective", help=f"Of motion, or of a generator; see vidcm objectives.  [default: {DEFAULTS.objective}]"
)
@click.option("--lora", type=click.IntRange(1), metavar="RANK", help="Of a generator: factors of that rank alone.")
@click.option("--num-frames", type=click.IntRange(1), help="Of a generator's clips.  [default: by footage and model]")
@click.option("--size", metavar="WxH", help="Of a generator's clips.  [default: by footage and model]")
@click.option("--prompt", help="Of a generator: what clips without a caption show.")
@click.option("--steps", type=click.IntRange(1), help=f"Of training.  [default: {DEFAULTS.steps}]")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Instead: what fits in so long here, in all.")
@click.option(
    "--reference", multiple=True, type=click.Path(exists=True), help="Footage it must not get worse on; repeatable."
)
@click.option(
    "--windows",
    type=click.IntRange(1),
    help=f"To judge by, at 2x; half as many at 4x.  [default: {DEFAULTS.windows}]",
)
@click.option("--patience", type=click.IntRange(1), help=f"Validations without a gain.  [default: {DEFAULTS.patience}]")
@click.option("--lr", "learning_rate", type=float, help="Learning rate.  [default: of the part]")
@click.option("--batch-size", type=click.IntRange(1), help="Clips at once.  [default: by the machine]")
@click.option("--accumulate", type=click.IntRange(1), help="Batches a step.  [default: generators: 8 clips a step]")
@click.option(
    "--shard", is_flag=True, default=None, help="Several processes hold a part of the weights each, not all of them."
)
@click.option("--context", type=click.IntRange(1), metavar="N", help="N processes in a row share each clip's frames.")
@click.option("--track", multiple=True, metavar="NAME", help="Tracker beside the files, as tensorboard; repeatable.")
@click.option("--seed", type=int, help=f"Of batches and noise.  [default: {DEFAULTS.seed}]")
@click.option("--device", type=DEVICE, help="What it runs on.  [default: auto]")
@click.option("--precision", type=click.Choice(["auto", "bf16", "fp32"]), help="Of the networks.  [default: auto]")
@click.option("--resume", is_flag=True, help="Continue the run in RUN; settings not given anew are its own.")
@click.option("--auto-resume", is_flag=True, help="The same where RUN holds a run, else begin one: for job scripts.")
@click.option("--json", "as_json", is_flag=True, help="The result as one line of JSON.")
def command(dataset: Path, run: Path, resume: bool, auto_resume: bool, as_json: bool, **settings: Any) -> None:
    """Tune the model on DATASET, a folder that `vidcm prepare` made; the best model so far is RUN/best.

    It is judged on DATASET's validation clips before, meanwhile and after; RUN/report.md says what was gained and what
    was forgotten. Ctrl-C saves and ends with exit code 130, --resume goes on.
    """
    given = chosen(settings)
    config = FinetuneConfig(**given)  # tells mistakes at once
    model = Path(given["model"]) if "model" in given else shipped("motion")
    check_model(model)
    check_kind(model, config)
    check_clips(model, config)
    check_dataset(dataset)
    going = "auto" if auto_resume else resume
    if launched().count == 1:  # of several processes the first one looks: it is about to change what the others see
        check_run(run, going)

    from vidcm.families.stock import hush
    from vidcm.finetuning.run import finetune

    hush()
    done = finetune(dataset, run, resume=going, **given)
    if not launched().is_first:
        return
    if as_json:
        emit("done", **facts(done))
    else:
        click.echo("\n".join(summary(done)))


def chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The fields of FinetuneConfig that were given."""
    given = {name: value for name, value in settings.items() if value not in (None, ())}
    if "steps" in given and "minutes" in given:
        raise click.UsageError("--steps and --minutes say the same thing twice: give one of them")
    if "parts" in given:
        given["parts"] = tuple(part.strip() for part in given["parts"].split(",") if part.strip())
    if "model" in given:
        given["model"] = str(given["model"])
    return given


def facts(done: "Tuned") -> dict[str, Any]:
    """The result for scripts."""
    return {
        "model": str(done.best),
        "report": str(done.report),
        **done.numbers,
        "part": done.after.part,
        "step": done.after.step,
        "before": done.before.scores,
        "after": done.after.scores,
    }


def summary(done: "Tuned") -> list[str]:
    """The result for people, line by line."""
    return [*done.told, f"{done.report}", done.use]
