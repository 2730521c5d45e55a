"""The `vidcm` command: names and summaries of the commands, exit codes. A command's file is imported when it runs.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted. A failure is one line on stderr, which says so where it is
not one the user can act on (`UserError`, or an `OSError` such as a full disk); with `--verbose`, or VIDCM_DEBUG=1 in
the environment, the traceback too.
"""

import logging
import os
from importlib import import_module
from typing import Any

import click

from vidcm import __version__
from vidcm.core.errors import UserError

# name -> what `vidcm --help` says of it. The file vidcm/cli/<name>.py holds it as `command`.
COMMANDS = {
    "interpolate": "Add frames to a video: a higher rate, or slow motion.",
    "train": "Train or tune a model, as a YAML file says.",
    "evaluate": "Score interpolation against true frames and baselines.",
    "models": "List the shipped models and the known families.",
    "objectives": "List the training objectives.",
    "doctor": "Show versions, devices and which backends work here.",
}


class LazyGroup(click.Group):
    """Commands from COMMANDS, each imported on use, so that help and usage errors answer without torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return import_module(f"vidcm.cli.{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # the reader of our output left; click ends quietly
            raise
        except (UserError, OSError) as error:
            if ctx.params["verbose"]:
                raise
            raise click.ClickException(one_line(error)) from error
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if ctx.params["verbose"]:
                raise
            click.echo(unexpected(error), err=True)
            ctx.exit(1)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody foresaw. Out of memory is told by its name: torch need not be there."""
    is_memory = isinstance(error, MemoryError) or "OutOfMemoryError" in [kind.__name__ for kind in type(error).__mro__]
    hint = "; try a smaller file, or another --device" if is_memory else ""
    return f"vidcm: unexpected {type(error).__name__}: {one_line(error)}{hint}; run with -v for the traceback"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vidcm")
@click.option("-v", "--verbose", is_flag=True, envvar="VIDCM_DEBUG", help="Show tracebacks and the libraries' notices.")
def cli(verbose: bool) -> None:
    """Few-step video: interpolate real files, and train the models that do it."""
    # Read when torch loads: idle OpenMP threads that spin take the core from the working one (2-5 times slower here).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")  # training needs more than 1024
    if not verbose:  # diffusers imports xformers on sight, which then complains wherever there is no CUDA
        logging.getLogger("xformers").setLevel(logging.ERROR)


def main() -> None:
    """Run the command line on sys.argv; ends the process with the exit code."""
    cli(prog_name="vidcm")


if __name__ == "__main__":
    main()
