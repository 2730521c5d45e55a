"""`vidcm train`: one stage of training, as a YAML file says."""

import click

from vidcm.core.processes import launched


@click.command("train", short_help="Train or tune a model, as a YAML file says.")
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Continue from the newest whole checkpoint in the run's folder.")
@click.option("--auto-resume", is_flag=True, help="The same where there is one, else begin: for job scripts.")
def command(config: str, overrides: tuple[str, ...], resume: bool, auto_resume: bool) -> None:
    """Run the stage of training in CONFIG; KEY=VALUE overrides it, as in optimizer.lr=1e-4.

    Ctrl-C finishes the step, saves a checkpoint and ends with exit code 130.
    """
    from vidcm.cli.main import WrongUse
    from vidcm.core.errors import UserError
    from vidcm.training.checks import check_objective
    from vidcm.training.config import load_config

    settings = load_config(config, overrides)
    try:
        check_objective(settings)
    except UserError as error:
        raise WrongUse(click.UsageError(str(error))) from error
    from vidcm.families.stock import hush
    from vidcm.training.loop import train

    hush()

    model = train(settings, resume="auto" if auto_resume else resume)
    if launched().is_first:
        click.echo(model)
